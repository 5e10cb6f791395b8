"""The encoder as a service: batches, priorities and a memory budget."""

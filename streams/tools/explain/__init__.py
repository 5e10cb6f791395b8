"""The state of a product in the pipeline: its trace through Kafka and a worker, a verdict."""

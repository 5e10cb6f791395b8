"""Kafka as the workers use it: clocks, heartbeats and lag."""

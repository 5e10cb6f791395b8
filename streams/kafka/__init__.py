"""Kafka as the workers use it: what its clients take, clocks, heartbeats and lag."""

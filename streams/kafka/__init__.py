"""Kafka clients of the workers: limits, clocks, heartbeats, lag and retries."""

"""What stands between Kafka's client and the pipelines."""

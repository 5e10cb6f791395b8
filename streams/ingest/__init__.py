"""The ingest pipelines: product events → records of the index log."""

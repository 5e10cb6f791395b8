"""The part of visualsearch with side effects: Kafka, pipelines, indexer, web, CLI, broker."""

"""Index log to engine: reader, ledger and healer."""

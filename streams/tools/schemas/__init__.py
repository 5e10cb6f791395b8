"""Writes the documents of `schemas/` from the contracts' types."""

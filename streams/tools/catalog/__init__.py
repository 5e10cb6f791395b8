"""Catalog files: read row by row, publish as product events, wait until searchable."""

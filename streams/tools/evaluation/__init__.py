"""A retailer's own catalog and queries, measured by the code that answers live searches."""

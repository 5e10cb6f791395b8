"""A retailer's own catalogue and queries, measured by the code that answers live searches."""

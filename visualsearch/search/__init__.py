"""From a request's parts to a query vector, and from scored rows to products."""

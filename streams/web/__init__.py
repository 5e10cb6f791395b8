"""HTTP of a worker: search, products, gallery and snapshots."""

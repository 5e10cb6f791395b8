"""Snapshots: an engine's state on disk, written while it serves and restored in seconds.

Entry points: `write.write`, `read.restore`, `read.check`, `verify.verify`,
`folder.list_snapshots`, `folder.prune`; types: `manifest.Manifest`, `errors.SnapshotError`.
PyArrow and FAISS are imported at their first use.
"""

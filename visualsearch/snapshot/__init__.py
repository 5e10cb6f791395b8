"""Snapshots: the state of an engine on disk, written beside its work and read back in seconds.

`write.write`, `read.restore` and `read.check`, `verify.verify`; `folder.listed` and `folder.prune`;
`manifest.Manifest` and `errors.SnapshotError`. Nothing heavy is imported until it is used.
"""

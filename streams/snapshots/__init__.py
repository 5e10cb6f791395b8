"""Snapshots of a worker: what they belong to, where they are kept, when they are taken and used."""

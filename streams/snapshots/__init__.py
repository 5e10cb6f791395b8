"""Snapshots of a worker's index: source, store, schedule, choice and restore."""

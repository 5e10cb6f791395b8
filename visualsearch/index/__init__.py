"""The live index of one shard: rows, graphs over them, attribute columns, and an exact twin."""

"""The two ways in: product events → records of the index log."""

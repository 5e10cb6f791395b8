"""Benchmark the index against bare HNSW libraries, in one run, as ratios."""

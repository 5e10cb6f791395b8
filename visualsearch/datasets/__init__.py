"""Datasets to measure with."""

"""Datasets for measurements."""

"""Recall and time of searches on the user's own data, and settings chosen by them."""

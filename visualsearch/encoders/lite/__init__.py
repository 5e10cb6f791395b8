"""The embedded encoder: features, weights and words."""

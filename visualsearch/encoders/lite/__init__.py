"""The lite encoder, which is part of this package: features, weights and vocabulary."""

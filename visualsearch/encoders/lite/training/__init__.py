"""Training and evaluation of the lite encoder."""

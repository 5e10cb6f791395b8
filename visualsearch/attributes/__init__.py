"""What pictures say of a product, its colour, kind or pattern, with a confidence that is meant."""

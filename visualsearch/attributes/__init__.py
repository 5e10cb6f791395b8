"""What a picture says of a product: its colour, kind, pattern, … with a confidence that is meant."""

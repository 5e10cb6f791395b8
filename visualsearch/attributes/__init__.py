"""Attributes guessed from product images, such as color or pattern, with calibrated confidence."""

"""An image's bytes from where it is said to be, within limits and from nowhere forbidden."""

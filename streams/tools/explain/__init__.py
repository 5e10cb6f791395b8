"""Where a product is on its way in: what was seen of it, and what follows from that."""

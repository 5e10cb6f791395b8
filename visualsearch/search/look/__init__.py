"""Shop the look: a photo of many things → its regions, and a search for each of them."""

"""Shop the look: regions of a photo of several things, to be searched one by one."""

"""The index measured beside bare graph libraries, in one run, as ratios."""

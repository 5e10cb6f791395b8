"""Read, select, show and replay dead letters."""

"""Dead letters after the fact: read, chosen, shown and published again."""

"""A client of the search topics, with the options, messages and producer that it needs."""

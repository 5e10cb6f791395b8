"""A client of the search topics, with the options, messages and producer that it needs."""

from visualsearch.client.search_client import SearchClient

__all__ = ["SearchClient"]

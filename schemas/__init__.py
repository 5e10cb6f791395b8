"""The contracts of visualsearch as types: product events, index records, requests, results."""

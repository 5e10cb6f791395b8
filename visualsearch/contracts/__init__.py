"""The types of events, requests, results and records."""

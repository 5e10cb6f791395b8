"""Documents of the contracts, generated from their types: JSON Schemas and AsyncAPI."""

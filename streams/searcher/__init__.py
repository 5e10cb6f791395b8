"""The way out: search request → vector → index → result."""

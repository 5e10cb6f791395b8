"""The search path: request → vector → index → result."""

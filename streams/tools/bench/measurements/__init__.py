"""What can be measured, by name: each takes a `Bench` and returns a table and figures."""

"""Configuration: settings, topic names, allowed addresses, process tuning."""

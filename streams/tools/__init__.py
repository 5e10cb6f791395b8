"""What a command does that is no worker."""

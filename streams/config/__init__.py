"""What a process is told: settings, topic names, addresses it may reach."""

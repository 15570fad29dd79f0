"""What a scale costs, and what it lacks on this machine."""

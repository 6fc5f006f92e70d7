"""What waits for a queue system."""

"""The log as it grows, and how its readers hear of it."""

"""The pauses before a worker retries a request to mesh or the queue system: each is twice the one before."""

FIRST_PAUSE = 0.1
"""Seconds."""
LONGEST_PAUSE = 5.0
"""Seconds."""

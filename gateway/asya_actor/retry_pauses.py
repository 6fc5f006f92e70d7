"""How long a worker waits before it asks mesh or the queue system again: each pause is twice the one before."""

FIRST_PAUSE = 0.1
"""Seconds."""
LONGEST_PAUSE = 5.0
"""Seconds."""

"""How often a process polls for changes that a notification should have announced."""

POLL_EVERY = 1.0
"""Seconds between two polls: the longest delay after a lost notification."""

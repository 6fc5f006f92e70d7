"""How often a process looks for what a notification should have announced."""

POLL_EVERY = 1.0
"""Seconds between two polls: what a lost notification announced is found that much later."""

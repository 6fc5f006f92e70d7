"""Envelopes that wait for the queue system."""

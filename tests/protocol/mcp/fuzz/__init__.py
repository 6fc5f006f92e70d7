"""Mutations of valid messages, and what every answer to them must be."""

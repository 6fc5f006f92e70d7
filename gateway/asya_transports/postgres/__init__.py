"""Queues as rows of PostgreSQL."""

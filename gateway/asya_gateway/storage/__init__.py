"""Postgres: everything that outlives a request. SQL is in the same file as the function that runs it."""

"""Postgres: everything that outlives a request. SQL stands beside the function that runs it."""

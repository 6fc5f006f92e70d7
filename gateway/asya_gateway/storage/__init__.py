"""Postgres: everything that outlives a request. SQL statements are in the same file as the functions that run them."""

"""Tasks in Postgres: one file for each statement that writes, and those that read."""

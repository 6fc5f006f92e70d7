"""Tasks in Postgres: one file for each kind of write, and the files that read."""

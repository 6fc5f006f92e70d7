"""Sessions of clients in Postgres, and how replicas hear of each other's changes."""

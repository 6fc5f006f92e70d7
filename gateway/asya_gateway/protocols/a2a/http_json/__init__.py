"""The HTTP+JSON binding (specification 1.0, section 11): one route for each operation."""

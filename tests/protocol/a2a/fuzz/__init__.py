"""Valid requests of every dialect and binding, and what every answer to a mutated one must be."""

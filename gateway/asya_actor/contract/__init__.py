"""What a handler may do to its message: the verbs of the handler contract (docs/how-to/handlers.md)."""

"""The verbs of the handler contract: what a handler may do with its message (docs/how-to/handlers.md)."""

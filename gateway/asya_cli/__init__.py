"""The `asya` command."""

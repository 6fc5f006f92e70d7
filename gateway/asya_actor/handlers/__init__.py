"""Finding the user's handler and calling it, in any of its shapes."""

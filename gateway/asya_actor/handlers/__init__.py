"""Finding the user's handler and calling it, whichever of its shapes it has."""

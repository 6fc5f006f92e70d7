"""The objects that an actor needs, one pure function for each kind."""

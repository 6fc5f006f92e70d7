"""The objects that an actor needs, one pure function a kind."""

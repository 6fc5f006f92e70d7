"""The flows that this pod serves: the registry row, the mounted file that is offered to it, and argument checks."""

"""The registry row and the pods that serve it."""

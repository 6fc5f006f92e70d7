"""The HTTP edge: each folder parses one protocol, calls the domain, renders its answer."""

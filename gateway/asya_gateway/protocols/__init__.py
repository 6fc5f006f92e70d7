"""The HTTP edge. Each folder decodes one protocol, calls the domain and renders its answer."""

"""The edge to kopf: what it hears is handed to the domain as it is."""

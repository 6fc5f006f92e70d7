"""The edge to kopf, which passes its events on unchanged."""

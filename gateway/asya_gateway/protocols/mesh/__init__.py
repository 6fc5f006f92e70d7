"""The routes of sidecars, workers and crew: reports come in here (docs/protocols/mesh.md)."""

"""The routes for reports of sidecars, workers and crew (docs/protocols/mesh.md)."""

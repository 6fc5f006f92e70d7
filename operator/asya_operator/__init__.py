"""The operator: computes what is exposed, pushes it to the mesh, and runs actors (docs/operations.md)."""

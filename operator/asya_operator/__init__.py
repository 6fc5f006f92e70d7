"""The operator: computes which flows are exposed, pushes them to mesh, and runs actors (docs/operations.md)."""

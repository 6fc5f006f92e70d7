"""The edge to the Kubernetes API, to the mesh and to the queue system."""

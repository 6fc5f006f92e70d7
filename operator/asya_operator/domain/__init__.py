"""Decides; it imports no kopf, no Kubernetes client, no HTTP library."""

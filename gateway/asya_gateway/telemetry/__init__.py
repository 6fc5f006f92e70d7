"""Metrics, logs and traces: what an operator of the gateway sees of it."""

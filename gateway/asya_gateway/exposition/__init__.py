"""Metrics, logs and traces as an operator of the gateway sees them."""

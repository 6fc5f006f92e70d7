"""The gateway's metrics, logs and traces."""

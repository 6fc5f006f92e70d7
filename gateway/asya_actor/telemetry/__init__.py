"""Metrics, logs, traces and probes of worker and crew."""

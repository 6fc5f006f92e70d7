"""What an operator sees of worker and crew: metrics, logs, traces, probes."""

"""Programs of other task queues, for their own environment (work_peers.py)."""

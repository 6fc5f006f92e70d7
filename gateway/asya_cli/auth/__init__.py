"""`asya auth`: who may call."""

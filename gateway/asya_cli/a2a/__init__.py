"""`asya a2a`: speaks A2A to our own gateway and to any other agent."""

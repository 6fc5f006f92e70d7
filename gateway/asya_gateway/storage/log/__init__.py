"""New log entries, and how readers are notified of them."""

"""What this pod serves: the registry row, the mounted file's offer to it, and argument checks."""

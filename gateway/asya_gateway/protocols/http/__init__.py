"""What every protocol shares of HTTP: keys, limits, errors, event streams, Origin and Host checks."""

"""HTTP parts shared by all protocols: keys, limits, errors, event streams, Origin and Host checks."""

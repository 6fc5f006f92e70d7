"""Bounds on the values of metric labels, so that values invented by callers do not each create a series."""

OTHER = "other"


class Bounded:
    """Passes the first `limit` values and replaces later ones by `other`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        """The value, or `other`."""
        if value in self._seen:
            return value
        if len(self._seen) < self._limit:
            self._seen.add(value)
            return value
        return OTHER

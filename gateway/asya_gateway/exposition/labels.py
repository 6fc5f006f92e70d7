"""Bounds on the values of metric labels: what callers may invent must not become a series each."""

OTHER = "other"


class Bounded:
    """Lets the first `limit` values through and calls every later one `other`."""

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

"""Waiting longer after each failure in a row, with jitter, so that many do not return at once."""

import random


class Backoff:
    """Delays from `first` seconds, doubling up to `longest`, each shortened at random by up to half."""

    def __init__(self, first: float = 0.2, longest: float = 15.0) -> None:
        self._first, self._longest, self._failures = first, longest, 0

    def failed(self) -> float:
        """How many seconds to wait after this failure."""
        delay = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * random.uniform(0.5, 1.0)  # noqa: S311  (spreading load needs no secrecy)

    def succeeded(self) -> None:
        """Start from the first delay again."""
        self._failures = 0

"""Exponential backoff with jitter, so that many clients do not retry at once."""

import random


class ExponentialBackoff:
    """Delays from `first` seconds, doubling up to `longest`, each shortened at random by up to half."""

    def __init__(self, first: float = 0.2, longest: float = 15.0) -> None:
        self._first, self._longest, self._failures = first, longest, 0

    def failed(self) -> float:
        """Count a failure; returns how many seconds to wait."""
        delay = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * random.uniform(0.5, 1.0)  # noqa: S311  (spreading load needs no secrecy)

    def succeeded(self) -> None:
        """Reset the delay."""
        self._failures = 0

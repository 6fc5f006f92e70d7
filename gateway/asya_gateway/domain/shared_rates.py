"""Limits that all pods keep together, without asking each other."""

import math
from collections.abc import Callable

from asya_gateway.domain.identity.faults import TooManyRequests
from asya_gateway.domain.rates import Rates


class SharedRates:
    """At most `rate` per second, at least one, for each name over all pods, with bursts of one second's worth.

    A pod allows its share, `rate / pods()`, and at least one per second: a client whose connections all lead to one pod
    gets that pod's share. The burst is the whole rate.
    """

    def __init__(self, what: str, rate: int, pods: Callable[[], int], rates: Rates | None = None) -> None:
        self._what = what
        self._rate = rate
        self._pods = pods
        self._rates = rates or Rates(rate, rate)

    def take(self, name: str) -> None:
        """Count one. Raises TooManyRequests, with the seconds until the next one fits, and then counts none."""
        wait = self._rates.wait(name, rate=max(1.0, self._rate / max(1, self._pods())))
        if wait:
            raise TooManyRequests(
                f"expected at most {self._rate} {self._what} a second", retry_after=max(1, math.ceil(wait))
            )

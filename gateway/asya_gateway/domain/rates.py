"""How often something may happen, for each of many keys."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MOST_KEYS = 100_000


class Rates:
    """A token bucket for each key: `burst` at once, refilled at `rate` a second. A rate of 0 is no limit.

    At most `most_keys` buckets are kept. The one that was used least recently is forgotten first, and would be full
    again soonest.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        most_keys: int = MOST_KEYS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._most, self._monotonic = rate, max(1.0, burst), most_keys, monotonic
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait(self, key: Hashable, *, rate: float | None = None) -> float:
        """Take one. Returns 0 if that was possible, else the seconds until it is. `rate` is the one that holds now, if
        it is not the usual one."""
        rate = self._rate if rate is None else rate
        if not rate:
            return 0.0
        now = self._monotonic()
        left, at = self._buckets.get(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * rate)
        admitted = left >= 1.0
        self._buckets[key] = (left - admitted, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0.0 if admitted else (1.0 - left) / rate

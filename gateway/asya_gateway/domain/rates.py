"""How often something may happen, for each of many keys."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from asya_gateway.domain.weighed import CACHE_BYTES, weight_of

BUCKET = 256
"""Bytes of a bucket beside its key."""


class Rates:
    """A token bucket for each key: `burst` at once, refilled at `rate` a second. A rate of 0 is no limit.

    Callers choose the keys, so the buckets are bounded by their memory, `most_bytes` with the keys. The one that was
    used least recently is forgotten first, and would be full again soonest. The one in use is always kept.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        most_bytes: int = CACHE_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._monotonic = rate, max(1.0, burst), monotonic
        self._buckets: OrderedDict[Hashable, tuple[float, float, int]] = OrderedDict()
        self.most_bytes = most_bytes
        self.bytes = 0
        """Bytes of the buckets."""

    def wait(self, key: Hashable, *, rate: float | None = None) -> float:
        """Take one. Returns 0 if that was possible, else the seconds until it is. `rate` is the one that holds now, if
        it is not the usual one."""
        rate = self._rate if rate is None else rate
        if not rate:
            return 0.0
        now = self._monotonic()
        left, at, weight = self._buckets.get(key) or (self._burst, now, self._weighed(key))
        left = min(self._burst, left + (now - at) * rate)
        admitted = left >= 1.0
        self._buckets[key] = (left - admitted, now, weight)
        self._buckets.move_to_end(key)
        while self.bytes > self.most_bytes and len(self._buckets) > 1:
            _, (_, _, weight) = self._buckets.popitem(last=False)
            self.bytes -= weight
        return 0.0 if admitted else (1.0 - left) / rate

    def _weighed(self, key: Hashable) -> int:
        """The bytes of a new bucket, which are counted from now on."""
        weight = BUCKET + weight_of(key)
        self.bytes += weight
        return weight

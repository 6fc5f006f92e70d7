"""Delays. Pub/Sub has none: a message is held back by its own lease, which is at most ten minutes long.

A message that is published to come later carries the length of its delay. Whoever receives it too early defers it: the
lease becomes what is left of the delay. The delay counts from the service's own time of publishing, so that the
publisher's clock does not matter. A receiver whose clock is slow learns the service's time from the messages themselves
(`ServiceClock`): otherwise the delay would not be over for it again and again, with each copy anew.
"""

import math
import time

LONGEST_DELAY = 600.0
"""Seconds of the longest lease. A longer delay is made of several."""
MOST_ATTEMPTS = 50
"""Deliveries after which a message that still waits is replaced by a copy, since Pub/Sub dead-letters a message after
a hundred."""


def whole_seconds(delay: float) -> int:
    """The lease for a delay; never shorter than the delay, unless that is longer than a lease may be."""
    return math.ceil(min(max(delay, 0.0), LONGEST_DELAY))


def remaining(delay: float, published: float, now: float) -> float:
    """Seconds that are left of a delay; `published` and `now` are seconds since the epoch."""
    return min(published + delay - now, delay)


class ServiceClock:
    """How far our clock is behind the service's, at least: what was published is in the past."""

    def __init__(self) -> None:
        self._beyond = -math.inf
        """The service's time less time.monotonic(), at least."""

    def local(self, published: float) -> float:
        """A time of publishing by our clock: both are seconds since the epoch."""
        elapsed = time.monotonic()
        self._beyond = max(self._beyond, published - elapsed)
        return published - max(0.0, self._beyond + elapsed - time.time())  # noqa: TID251 # it is corrected here

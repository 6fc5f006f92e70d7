"""Delays. Pub/Sub has none: a message is held back by its own lease, which is at most ten minutes long.

A message that is published to come later carries the length of its delay. Whoever receives it too early defers it: the
lease becomes what is left of the delay. The delay counts from the service's own time of publishing, so that the
publisher's clock does not matter; a receiver whose clock is wrong never waits longer than the whole delay at a time.
"""

import math

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

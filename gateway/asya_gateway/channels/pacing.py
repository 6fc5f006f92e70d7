"""When a failed delivery is repeated, and when a destination is given up (pure)."""

import random

from asya_gateway.domain.destinations import DeliveryOutcome

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 600.0
LONGEST_ASKED = 3_600.0
"""Most seconds that a receiver's own wish keeps the next delivery back."""
GIVEN_UP_AFTER = 24 * 3_600.0
"""Seconds of nothing but failures after which a destination is disabled."""


def pause(attempts: int, asked: float = 0.0, chance: float | None = None) -> float:
    """Seconds until the next delivery after so many failures, at least one: twice as long each time, and between half
    of that and all of it, so that what failed together is not repeated together. `asked`: what the receiver wants at
    least. `chance`: 0 to 1, random by default."""
    chance = random.random() if chance is None else chance  # noqa: S311 # nothing secret
    backoff = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 30))
    return max(backoff * (0.5 + chance / 2), min(asked, LONGEST_ASKED))


def given_up(outcome: DeliveryOutcome, failing: float) -> str | None:
    """Why a destination is disabled after this outcome, None if it is not. `failing`: seconds since the first of the
    failures."""
    if outcome.problem is None:
        return None
    if outcome.permanent:
        return outcome.problem
    if failing >= GIVEN_UP_AFTER:
        return f"every delivery has failed for 24 hours, the last one: {outcome.problem}"
    return None

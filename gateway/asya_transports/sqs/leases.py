"""Messages that this process holds, and its own clock for each: SQS takes an old receipt and says that it succeeded."""

import time
from dataclasses import dataclass, field

from asya_transports.sqs.settings import LONGEST_VISIBILITY

SAFETY = 0.05
"""Share of the visibility timeout, at most a second, by which a lease ends earlier here than in SQS."""
MOST_SAFETY = 1.0
BEFORE_THE_CAP = 5
"""Seconds that a lease ends before the twelve hours after which SQS refuses every renewal."""


@dataclass(eq=False, slots=True)
class Lease:
    """A received message. `until` is in seconds of time.monotonic()."""

    url: str
    receipt: str
    visibility: int
    received: float = field(default_factory=time.monotonic)
    until: float = 0.0
    lost: bool = False
    """Whether SQS has said that the receipt is valid no more, or took our answer."""
    answering: bool = False
    """Whether our answer is under way, so that nothing is to be renewed."""

    def __post_init__(self) -> None:
        self.renewed(self.received, self.visibility)

    def renewed(self, since: float, seconds: int) -> None:
        """It is ours for so many seconds from then on: from before the request, because the answer takes its time."""
        self.until = since + seconds - min(MOST_SAFETY, seconds * SAFETY)

    def expired(self) -> bool:
        """Whether another consumer may have the message. An expired lease is never renewed."""
        return self.lost or time.monotonic() >= self.until

    def age(self) -> float:
        """Seconds since the last renewal."""
        return time.monotonic() - (self.until - self.visibility)

    def longest(self) -> int:
        """Seconds for which SQS lets us hide the message from now on: twelve hours from its reception."""
        return max(0, int(LONGEST_VISIBILITY - BEFORE_THE_CAP - (time.monotonic() - self.received)))

"""Messages that this process holds, and its own clock for each: SQS takes an old receipt and says that it succeeded."""

import asyncio
import threading
import time
from concurrent.futures import Future
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
    _renewal: Future[None] | None = None
    """The end of the renewal that is under way."""
    _order: threading.Lock = field(default_factory=threading.Lock)

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

    def begin_renewal(self) -> bool:
        """Whether a renewal may begin now: not while another one or an answer is under way. If so, the caller calls
        `end_renewal` afterwards. The keeper's thread renews, and the program's may."""
        with self._order:
            if self.answering or self.lost or self._renewal is not None:
                return False
            self._renewal = Future()
            return True

    def end_renewal(self) -> None:
        """The renewal is answered, or given up."""
        with self._order:
            renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.set_result(None)

    async def renewals_end(self) -> None:
        """Wait for the renewal that is under way, if one is. It ends soon, since every request has a time limit."""
        with self._order:
            renewal = self._renewal
        if renewal is not None:
            await asyncio.shield(asyncio.wrap_future(renewal))

    def begin_answer(self) -> None:
        """No renewal begins from now on, until `end_answer`."""
        with self._order:
            self.answering = True

    def end_answer(self, *, taken: bool) -> None:
        """SQS has answered; `taken`: the message is not ours any more."""
        with self._order:
            self.lost = self.lost or taken
            self.answering = False

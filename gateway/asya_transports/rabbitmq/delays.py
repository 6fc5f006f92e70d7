"""The delay queues that a message passes through, one after the other.

RabbitMQ expires messages only at the head of a queue, so all messages of one queue must wait equally long. A queue for
each requested delay would mean as many queues as retries; here twelve queues serve any delay.
"""

from dataclasses import dataclass

RUNGS = (125, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 256_000, 1_024_000)
"""Milliseconds: the delay of each delay queue of an actor."""
LONGEST_DELAY = RUNGS[-1] / 1000
"""Seconds. A longer delay passes several queues."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a message must still wait, in milliseconds, and how much longer it may."""

    left: int
    slack: int

    @classmethod
    def of(cls, milliseconds: int) -> "Wait":
        """The wait for a whole delay. A third more is allowed; for the shortest delays, the shortest rung."""
        return cls(milliseconds, max(milliseconds // 3, RUNGS[0]))

    @classmethod
    def read(cls, value: object) -> "Wait | None":
        """Read from a message's header; None if nothing is left, or if the value is invalid."""
        parts = value.split(",") if isinstance(value, str) else []
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
            return None
        left, slack = map(int, parts)
        return cls(left, slack) if left > 0 else None

    def write(self) -> str:
        """The header value."""
        return f"{self.left},{self.slack}"

    @property
    def rung(self) -> int:
        """The next delay queue: one that ends the wait if possible, else the longest that does not exceed it.

        Most delays end with the first rung, those up to two minutes with the second.
        """
        last = next((rung for rung in RUNGS if self.left <= rung <= self.left + self.slack), None)
        return last or max(rung for rung in RUNGS if rung == RUNGS[0] or rung <= self.left)

    @property
    def after(self) -> "Wait | None":
        """The rest of the wait after the rung."""
        left = self.left - self.rung
        return Wait(left, self.slack) if left > 0 else None

"""Which delay queues a message passes through, one after the other.

RabbitMQ lets messages expire at a queue's head only, so messages of one queue must wait equally long. A queue for each
delay that somebody asks for would be as many queues as there are retries; here twelve serve any delay.
"""

from dataclasses import dataclass

RUNGS = (125, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 256_000, 1_024_000)
"""Milliseconds; each is the one delay of one queue of an actor."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a message still has to wait, in milliseconds, and how much longer it may."""

    left: int
    slack: int

    @classmethod
    def of(cls, milliseconds: int) -> "Wait":
        """The whole of a delay. A third more is allowed, and for the shortest delays the shortest rung."""
        return cls(milliseconds, max(milliseconds // 3, RUNGS[0]))

    @classmethod
    def read(cls, value: object) -> "Wait | None":
        """From a message's header; None where nothing is left, or the value has another form."""
        parts = value.split(",") if isinstance(value, str) else []
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
            return None
        left, slack = map(int, parts)
        return cls(left, slack) if left > 0 else None

    def write(self) -> str:
        """As a header's value."""
        return f"{self.left},{self.slack}"

    @property
    def rung(self) -> int:
        """The next delay queue: one that ends the wait if there is any, else the longest that does not exceed it.

        Most delays end with the first rung, those up to two minutes with the second.
        """
        last = next((rung for rung in RUNGS if self.left <= rung <= self.left + self.slack), None)
        return last or max(rung for rung in RUNGS if rung == RUNGS[0] or rung <= self.left)

    @property
    def after(self) -> "Wait | None":
        """What is left when the rung is passed."""
        left = self.left - self.rung
        return Wait(left, self.slack) if left > 0 else None

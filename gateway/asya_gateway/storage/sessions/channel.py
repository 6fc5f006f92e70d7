"""What replicas tell each other of sessions: short words on a channel of the bell, never bodies. Each is also polled,
or only spares a wait."""

from collections.abc import Callable
from typing import NamedTuple

CHANNEL = "asya_sessions"

Ring = Callable[[str], None]
"""Sends one word to every replica, this one included."""


class Word(NamedTuple):
    """`kind key [more]`: the hex of the session's key, and what the kind needs."""

    kind: str
    key: bytes
    more: str = ""

    def text(self) -> str:
        """Its wire form, without line breaks."""
        return f"{self.kind} {self.key.hex()} {self.more}".rstrip()

    @classmethod
    def read(cls, text: str) -> "Word | None":
        """The word; None for one of a newer version."""
        kind, _, rest = text.partition(" ")
        digits, _, more = rest.partition(" ")
        try:
            return cls(kind, bytes.fromhex(digits), more)
        except ValueError:
            return None


CHANGED = "changed"
"""The row was changed or is gone."""
REQUESTS = "requests"
CANCELED = "canceled"
"""`more` is the hex of the hashed request id."""
RESUMED = "resumed"
"""`more` is the hex of the hashed request id, and the new holder."""
POSTED = "posted"

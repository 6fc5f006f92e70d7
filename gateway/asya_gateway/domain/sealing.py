"""Sealing: text that passes through a caller's hands, and that only this gateway can read or make."""

from typing import Protocol


class Sealing(Protocol):
    """Authenticated encryption under keys that all replicas share. What is sealed is bound to `about`, bytes that
    whoever opens it must give again."""

    async def seal(self, text: str, about: bytes, lifetime: float) -> str:
        """The text, sealed, in characters that every protocol can carry; it can be opened for `lifetime` seconds.
        Raises Unavailable without any key."""
        ...

    async def unseal(self, sealed: str, about: bytes) -> str | None:
        """The text; None if its time is over, or if this was sealed about something else, by somebody else, or was
        changed. Raises Unavailable if that cannot be found out."""
        ...


class NoSealing:
    """The sealing of an application that was given none: nothing can be sealed or opened."""

    async def seal(self, text: str, about: bytes, lifetime: float) -> str:
        """Raises RuntimeError."""
        raise RuntimeError("expected a sealing")

    async def unseal(self, sealed: str, about: bytes) -> str | None:
        """None."""
        return None

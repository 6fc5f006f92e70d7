"""The requests that this process holds open: their limit, and their end when their caller's credential ends. Streams,
blocking calls and waiting ones count alike."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from aiohttp import web

from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.identity.faults import TooManyRequests, Unauthenticated
from asya_gateway.domain.identity.principals import Caller, Principal
from asya_gateway.protocols.http.callers import CALLER
from asya_gateway.protocols.http.errors import StreamsExhausted
from asya_gateway.protocols.http.limiter import name_of

WEIGHT = 40 * 1024
"""Bytes of a held request with its connection and its follower, without the items queued for it."""


class OpenStream(Protocol):
    """A request whose response has begun."""

    def end(self, farewell: bytes) -> None:
        """End it with this comment."""


class Presence:
    """One held request and its caller, None on routes without one."""

    def __init__(self, caller: Caller | None) -> None:
        self.caller = caller
        self.task = asyncio.current_task()
        self.stream: OpenStream | None = None
        self.revoked = False
        """Whether its caller's credential was revoked. Its task goes on: that its caller left was not the caller's
        wish."""

    @property
    def expires_at(self) -> float | None:
        """Unix time at which the caller's credential ends; None if it does not."""
        return self.caller.expires_at if isinstance(self.caller, Principal) else None

    def revoke(self) -> None:
        """Make the handler leave, whatever it is waiting for."""
        if self.revoked:
            return
        self.revoked = True
        if self.stream is not None:
            self.stream.end(b": the credential was revoked\n\n")
        elif self.task is not None:
            self.task.cancel()

    def left(self) -> bool:
        """Whether a cancellation that was caught is the revocation's, and the response has not begun."""
        return self.revoked and self.stream is None and self.task is not None and not self.task.uncancel()


PRESENCE = web.RequestKey("PRESENCE", Presence)


class HeldRequests:
    """One limit for all requests that wait for a task."""

    def __init__(self, limit: int, budget: Budget, *, per_caller: int = 0) -> None:
        self._limit = limit
        self._per_caller = per_caller
        """Most of them for one caller; 0 means no limit."""
        self._of_caller: Counter[str] = Counter()
        self._budget = budget
        self._number = 0
        self._present: set[Presence] = set()

    def __len__(self) -> int:
        return self._number

    @contextmanager
    def slot(self, request: web.Request, *, more: int = 0) -> Iterator[None]:
        """Count one more request while the block runs; it holds `more` bytes of its own. Enter it before a call is
        stored, so that a refusal leaves no task behind. Raises StreamsExhausted, TooManyRequests, NoRoom, and
        Unauthenticated if the caller's credential is revoked before the response begins."""
        presence = Presence(request.get(CALLER))
        with self.within(request, presence.caller, more=more):
            self._present.add(presence)
            request[PRESENCE] = presence
            try:
                yield
            except asyncio.CancelledError:
                if presence.left():
                    raise Unauthenticated("the credential was revoked") from None
                raise
            finally:
                self._present.discard(presence)

    @contextmanager
    def within(self, request: web.Request, caller: Caller | None, *, more: int = 0) -> Iterator[None]:
        """The same for a request of this caller that is answered within another held one, with which it ends. Raises
        StreamsExhausted, TooManyRequests, NoRoom."""
        if self._number >= self._limit:
            raise StreamsExhausted(f"expected at most {self._limit} requests that are held open")
        name = name_of(request, caller)
        if self._per_caller and self._of_caller[name] >= self._per_caller:
            raise TooManyRequests(f"expected at most {self._per_caller} requests of one caller that are held open", 1)
        self._budget.take(Share.HELD, WEIGHT + more)
        self._number += 1
        self._of_caller[name] += 1
        try:
            yield
        finally:
            self._number -= 1
            self._of_caller[name] -= 1
            if not self._of_caller[name]:
                del self._of_caller[name]
            self._budget.give_back(Share.HELD, WEIGHT + more)

    def revoke(self, subjects: frozenset[str]) -> None:
        """End every request of a principal that one of these revocations ends."""
        for presence in tuple(self._present):
            if isinstance(presence.caller, Principal) and not presence.caller.revocables.isdisjoint(subjects):
                presence.revoke()

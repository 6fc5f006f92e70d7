"""The requests that this process holds open: their limit, and their end when their caller's credential ends. Streams,
blocking calls and waiting ones count alike."""

import asyncio
from typing import Protocol

from aiohttp import web
from typing_extensions import override

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
        self._of_caller: dict[str, int] = {}
        self._budget = budget
        self._number = 0
        self._present: set[Presence] = set()

    def __len__(self) -> int:
        return self._number

    def slot(self, request: web.Request, *, more: int = 0) -> "CredentialBoundRequest":
        """Count one more request while the block runs; it holds `more` bytes of its own. Enter it before a call is
        stored, so that a refusal leaves no task behind. Raises StreamsExhausted, TooManyRequests, NoRoom, and
        Unauthenticated if the caller's credential is revoked before the response begins."""
        return CredentialBoundRequest(self, request, Presence(request.get(CALLER)), more)

    def within(self, request: web.Request, caller: Caller | None, *, more: int = 0) -> "CountedRequest":
        """The same for a request of this caller that is answered within another held one, with which it ends. Raises
        StreamsExhausted, TooManyRequests, NoRoom."""
        return CountedRequest(self, request, caller, more)

    def count(self, name: str, weight: int) -> None:
        """Count a request of the caller with this name. Raises StreamsExhausted, TooManyRequests, NoRoom."""
        if self._number >= self._limit:
            raise StreamsExhausted(f"expected at most {self._limit} requests that are held open")
        others = self._of_caller.get(name, 0)
        if self._per_caller and others >= self._per_caller:
            raise TooManyRequests(f"expected at most {self._per_caller} requests of one caller that are held open", 1)
        self._budget.take(Share.HELD, weight)
        self._number += 1
        self._of_caller[name] = others + 1

    def give_back(self, name: str, weight: int) -> None:
        """Count it no longer."""
        self._number -= 1
        left = self._of_caller[name] - 1
        if left:
            self._of_caller[name] = left
        else:
            del self._of_caller[name]
        self._budget.give_back(Share.HELD, weight)

    def come(self, presence: Presence) -> None:
        """The request of this presence is held from now on."""
        self._present.add(presence)

    def leave(self, presence: Presence) -> None:
        """It is held no longer."""
        self._present.discard(presence)

    def revoke(self, subjects: frozenset[str]) -> None:
        """End every request of a principal that one of these revocations ends."""
        for presence in tuple(self._present):
            if isinstance(presence.caller, Principal) and not presence.caller.revocables.isdisjoint(subjects):
                presence.revoke()


class CountedRequest:
    """The place of one held request. (A class, because each call that waits has one, and generators cost more.)"""

    __slots__ = ("_caller", "_held", "_name", "_request", "_weight")

    def __init__(self, held: HeldRequests, request: web.Request, caller: Caller | None, more: int) -> None:
        self._held = held
        self._request = request
        self._caller = caller
        self._weight = WEIGHT + more

    def __enter__(self) -> None:
        self._name = name_of(self._request, self._caller)
        self._held.count(self._name, self._weight)

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        self._held.give_back(self._name, self._weight)


class CredentialBoundRequest(CountedRequest):
    """The same for a request that ends with its caller's credential."""

    __slots__ = ("_presence",)

    def __init__(self, held: HeldRequests, request: web.Request, presence: Presence, more: int) -> None:
        super().__init__(held, request, presence.caller, more)
        self._presence = presence

    @override
    def __enter__(self) -> None:
        super().__enter__()
        self._held.come(self._presence)
        self._request[PRESENCE] = self._presence

    @override
    def __exit__(self, kind: type[BaseException] | None = None, *raised: object) -> None:
        presence = self._presence
        self._held.leave(presence)
        super().__exit__(kind, *raised)
        if kind is not None and issubclass(kind, asyncio.CancelledError) and presence.left():
            raise Unauthenticated("the credential was revoked") from None

"""A stub of the connection to Pub/Sub: what the real service answers and no stand-in does."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

from google.pubsub_v1 import types

from asya_transports.pubsub.connection import Clients, Connection
from asya_transports.pubsub.errors import service_errors

Answer = object
"""What a call returns, or the exception that it raises; an event that it waits for before, alone or with an answer."""


class StubConnection:
    """Calls by the names of the clients' methods. `answers` has, for each, what to do with a request."""

    def __init__(self, **answers: Callable[[Any], Answer]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Any]] = []
        methods = SimpleNamespace(**{name: self._method(name) for name in answers})
        self._clients = cast("Clients", SimpleNamespace(publisher=methods, subscriber=methods))

    def _method(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def called(request: object) -> Any:
            self.calls.append((name, request))
            answer = self.answers[name](request)
            if isinstance(answer, asyncio.Event):
                answer = answer, types.PullResponse()
            if isinstance(answer, tuple):
                event, answer = answer
                await event.wait()
            if isinstance(answer, Exception):
                raise answer
            return answer

        return called

    async def call(
        self, method: Callable[[Clients], Callable[..., Awaitable[Any]]], request: object, _: float = 0
    ) -> Any:
        """As Connection.call."""
        with service_errors():
            return await method(self._clients)(request=request)

    def as_connection(self) -> Connection:
        """For what takes a connection."""
        return cast("Connection", self)

    def named(self, name: str) -> list[Any]:
        """The requests of the calls of that name."""
        return [request for called, request in self.calls if called == name]


def subscribed(*names: str) -> Callable[[Any], Answer]:
    """A topic with these subscriptions."""
    return lambda _: SimpleNamespace(subscriptions=list(names))

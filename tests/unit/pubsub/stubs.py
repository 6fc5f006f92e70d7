"""A stub of the connection to Pub/Sub: what the real service answers and no stand-in does."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import grpc
import grpc.aio
from google.api_core import exceptions
from google.pubsub_v1 import types
from google.pubsub_v1.services.subscriber import SubscriberClient

from asya_transports.pubsub.connection import Connection, GeneratedClients
from asya_transports.pubsub.errors import service_errors

Answer = object
"""What a call returns, or the exception that it raises; an event that it waits for before, alone or with an answer."""


class StubConnection:
    """Calls by the names of the clients' methods. `answers` has, for each, what to do with a request."""

    def __init__(self, **answers: Callable[[Any], Answer]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Any]] = []
        methods = SimpleNamespace(**{name: self._method(name) for name in answers})
        self._clients = cast("GeneratedClients", SimpleNamespace(publisher=methods, subscriber=methods))

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
        self, method: Callable[[GeneratedClients], Callable[..., Awaitable[Any]]], request: object, _: float = 0
    ) -> Any:
        """As Connection.call."""
        with service_errors():
            return await method(self._clients)(request=request)

    async def clients(self) -> GeneratedClients:
        """As Connection.clients."""
        return self._clients

    def blocking_subscriber(self) -> SubscriberClient:
        """As Connection.blocking_subscriber: it polls by the same answers, and renews whatever it is asked to."""
        transport = SimpleNamespace(pull=SimpleNamespace(future=self._poll), close=lambda: None)
        return cast("SubscriberClient", SimpleNamespace(transport=transport, modify_ack_deadline=lambda **_: None))

    def _poll(self, request: object, **_: object) -> "StubCall":
        return StubCall(asyncio.ensure_future(self._method("pull")(request)))

    def as_connection(self) -> Connection:
        """For what takes a connection."""
        return cast("Connection", self)

    def named(self, name: str) -> list[Any]:
        """The requests of the calls of that name."""
        return [request for called, request in self.calls if called == name]


class StubCall:
    """A call of the blocking client, as far as polls use it."""

    def __init__(self, answering: "asyncio.Future[Any]") -> None:
        self._answering = answering

    def add_done_callback(self, callback: Callable[["StubCall"], None]) -> None:
        """As grpc.Future."""
        self._answering.add_done_callback(lambda _: callback(self))

    def cancel(self) -> bool:
        """As grpc.Future."""
        return self._answering.cancel()

    def result(self) -> Any:
        """As grpc.Future, of a call that has ended."""
        if self._answering.cancelled():
            raise grpc.FutureCancelledError
        error = self._answering.exception()
        if isinstance(error, exceptions.GoogleAPICallError):
            none = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(error.grpc_status_code, none, none, error.message)
        return self._answering.result()


def subscribed(*names: str) -> Callable[[Any], Answer]:
    """A topic with these subscriptions."""
    return lambda _: SimpleNamespace(subscriptions=list(names))

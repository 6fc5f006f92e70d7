"""The receivers of one transport: each is open as long as the context of its stream."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Generic, Protocol, TypeVar

from asya_transports.port import Delivery


class Receiver(Protocol):
    """The consumer of one queue."""

    def stream(self) -> AsyncGenerator[Delivery]:
        """The deliveries. When it is closed, what was not yielded is returned."""

    async def leave(self) -> None:
        """Return unanswered messages."""


R = TypeVar("R", bound=Receiver)


class Receivers(Generic[R]):
    """Those that are open."""

    def __init__(self) -> None:
        self._open: set[R] = set()

    def __iter__(self) -> Iterator[R]:
        return iter(tuple(self._open))

    @asynccontextmanager
    async def receive(self, receiver: R) -> AsyncIterator[AsyncGenerator[Delivery]]:
        """Its stream, closed at the end of the block, and then left."""
        self._open.add(receiver)
        try:
            async with aclosing(receiver.stream()) as stream:
                yield stream
        finally:
            self._open.discard(receiver)
            await receiver.leave()

    async def leave(self) -> None:
        """Return what all of them hold."""
        for receiver in self:
            await receiver.leave()

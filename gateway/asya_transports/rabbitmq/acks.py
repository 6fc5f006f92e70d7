"""Acknowledges the messages of one channel with few frames."""

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Protocol


class Acknowledging(Protocol):
    """What acknowledges, of a channel."""

    def basic_ack(self, delivery_tag: int, multiple: bool = False, wait: bool = True) -> Awaitable[None]:
        """Acknowledge this message; with `multiple`, also all before it. `wait`: until it is written."""


class Acks:
    """While some acknowledgements are being written, the next ones are collected; a single one is not delayed.

    Delivery tags count up, and one frame acknowledges all up to a tag. So the oldest of what is unanswered, as far as
    it is to be acknowledged, takes one frame, and each of the rest takes one.
    """

    def __init__(self, channel: Acknowledging) -> None:
        self._channel = channel
        self._unanswered: dict[int, None] = {}
        """In the order of their tags."""
        self._newest = 0
        self._in_order = True
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._flusher: asyncio.Task[None] | None = None

    def arrived(self, tag: int) -> None:
        """The broker has sent this message."""
        self._in_order = self._in_order and tag == self._newest + 1
        self._newest = tag
        self._unanswered[tag] = None

    def rejected(self, tag: int) -> None:
        """The message was rejected, and that was written."""
        self._unanswered.pop(tag, None)

    def lost(self, _: object) -> None:
        """The channel is closed. A write that waits for room in the connection's queue would wait for ever."""
        if self._flusher is not None:
            self._flusher.cancel()

    async def add(self, tag: int) -> None:
        """Return once the acknowledgement is written. Raises what the channel raises."""
        written = self._waiting[tag] = asyncio.get_running_loop().create_future()
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="rabbitmq-acknowledgements")
        await written

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            error: BaseException | None = None
            try:
                for tag, multiple, last in self._frames(batch):
                    await self._channel.basic_ack(tag, multiple=multiple, wait=last)
            except BaseException as trouble:  # noqa: BLE001 # raised again where each is awaited
                error = trouble
            for written in batch.values():
                if written.done():  # its waiter was cancelled
                    continue
                if error is None:
                    written.set_result(None)
                else:
                    written.set_exception(
                        RuntimeError("the channel is closing") if isinstance(error, asyncio.CancelledError) else error
                    )

    def _frames(self, batch: dict[int, asyncio.Future[None]]) -> Iterator[tuple[int, bool, bool]]:
        """(tag, whether all before it too, whether it is the last one)."""
        oldest: list[int] = []
        for tag in self._unanswered if self._in_order else ():
            if tag not in batch:
                break
            oldest.append(tag)
        singles = [tag for tag in batch if not oldest or tag > oldest[-1]]
        for tag in batch:
            self._unanswered.pop(tag, None)
        if oldest:
            yield oldest[-1], len(oldest) > 1, not singles
        for tag in singles:
            yield tag, False, tag == singles[-1]

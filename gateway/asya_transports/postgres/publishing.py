"""Publishes the messages of several callers with one statement and one commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from asya_transports.port import OutboundMessage, TransportError

SMALL = 64 * 1024
"""Most bytes of a call whose messages go with others'. A larger one must not hold them up."""

Publish = Callable[[Sequence[OutboundMessage]], Awaitable[list[TransportError | None]]]
"""As port.Transport.publish."""


class Publishes:
    """While one batch is being committed, the next one is collected; a single call is not delayed."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._waiting: list[tuple[Sequence[OutboundMessage], asyncio.Future[list[TransportError | None]]]] = []
        self._flusher: asyncio.Task[None] | None = None

    async def add(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        """The answers, in the order of the messages."""
        if sum(len(message.body) for message in messages) > SMALL:
            return await self._publish(messages)
        answers: asyncio.Future[list[TransportError | None]] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, answers))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="queue-publishes")
        return await answers

    async def finish(self) -> None:
        """Wait for the batches in progress."""
        if self._flusher is not None:
            await self._flusher

    async def _flush(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting, []
            try:
                found = await self._publish([message for messages, _ in calls for message in messages])
            except Exception as error:  # noqa: BLE001 # raised again where each is awaited
                for _, answers in calls:
                    if not answers.done():  # its waiter was cancelled
                        answers.set_exception(error)
                continue
            start = 0
            for messages, answers in calls:
                if not answers.done():
                    answers.set_result(found[start : start + len(messages)])
                start += len(messages)

"""Acknowledges many messages of one subscription with one request."""

import asyncio
from collections.abc import Awaitable, Callable

from asya_transports.port import TransportUnavailable

BATCH = 1000
"""Most acknowledgements of one request. The service accepts half a megabyte of ids, each of about 200 bytes."""

Acknowledge = Callable[[list[str]], Awaitable[None]]
"""Sends one request. Raises TransportUnavailable."""


class Acknowledgements:
    """While one request is under way, the next one's are collected; a single one is not delayed."""

    def __init__(self, acknowledge: Acknowledge) -> None:
        self._acknowledge = acknowledge
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None

    async def add(self, ack_id: str) -> None:
        """Return once the service has confirmed the request. Raises TransportUnavailable."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((ack_id, answer))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="pubsub-acknowledgements")
        await answer

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            error: Exception | None = None
            try:
                await self._send([ack_id for ack_id, _ in batch])
            except Exception as trouble:  # noqa: BLE001 # raised again where each is awaited
                error = trouble
            for _, answer in batch:
                if answer.done():  # its waiter was cancelled
                    continue
                if error is None:
                    answer.set_result(None)
                else:
                    answer.set_exception(error)

    async def _send(self, ack_ids: list[str]) -> None:
        try:
            await self._acknowledge(ack_ids)
        except TransportUnavailable:
            # A connection that was lost unnoticed fails at its first call. An acknowledgement may be repeated.
            await self._acknowledge(ack_ids)

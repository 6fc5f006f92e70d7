"""Sends what many callers ask for in few requests: acknowledgements of one subscription, and copies of messages."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from asya_transports.port import TransportUnavailable

BATCH = 1000
"""Most acknowledgements of one request. The service accepts half a megabyte of ids, each of about 200 bytes."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Acknowledge = Callable[[list[str]], Awaitable[None]]
"""Sends one request. Raises TransportUnavailable."""


class Collected(Generic[Item, Answer]):
    """While one request is under way, the next one's items are collected; a single one is not delayed. `send` answers
    each item of a request, in order; what it raises is raised for each."""

    def __init__(self, send: Callable[[list[Item]], Awaitable[Sequence[Answer]]], name: str, most: int = BATCH) -> None:
        self._send = send
        self._name = name
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Answer:
        """The answer to this item."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all(), name=self._name)
        return await answer

    async def _send_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = await self._send([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 # raised again where each is awaited
                for _, answer in batch:
                    if not answer.done():  # else its waiter was cancelled, here and below
                        answer.set_exception(error)
                continue
            for (_, answer), found in zip(batch, answers, strict=True):
                if not answer.done():
                    answer.set_result(found)


class Acknowledgements(Collected[str, None]):
    """Those of one subscription. `add` returns once the service has confirmed the request, and raises
    TransportUnavailable."""

    def __init__(self, acknowledge: Acknowledge) -> None:
        self._acknowledge = acknowledge
        super().__init__(self._acknowledged, "pubsub-acknowledgements")

    async def _acknowledged(self, ack_ids: list[str]) -> list[None]:
        try:
            await self._acknowledge(ack_ids)
        except TransportUnavailable:
            # A connection that was lost unnoticed fails at its first call. An acknowledgement may be repeated.
            await self._acknowledge(ack_ids)
        return [None] * len(ack_ids)

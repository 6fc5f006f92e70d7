"""The consumers of one channel, whose number follows a prefetch that changes.

RabbitMQ takes no change of a running consumer's prefetch, and quorum queues take none that holds for a whole channel.
So a raised prefetch adds a consumer with the difference, and a lowered one cancels the youngest.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from aiormq.abc import AbstractChannel, DeliveredMessage

from asya_transports.rabbitmq.connection import answer_of

WITHIN = 5.0
"""Seconds for the answer to one command."""


class Consumers:
    """Belongs to one channel and one queue. Methods raise TransportUnavailable, and AMQPChannelError if the broker
    refuses (no such queue). Calls must not overlap."""

    def __init__(
        self, channel: AbstractChannel, queue: str, arrived: Callable[[DeliveredMessage], Coroutine[Any, Any, None]]
    ) -> None:
        self._channel = channel
        self._queue = queue
        self._arrived = arrived
        self._running: list[tuple[str, int]] = []

    @property
    def most(self) -> int:
        """Most messages that they hold unanswered together."""
        return sum(size for _, size in self._running)

    async def follow(self, most: int) -> None:
        """Hold at most so many from now on; what is held already stays.

        Small changes are no work for the broker, because a quorum queue may count a delivery of a message that it was
        sending at the moment of a cancellation: the number is raised in powers of two, and stays if it is lowered by
        less than a quarter, unless to the first consumer's own.
        """
        if self._running and most < self.most and (most <= self._running[0][1] or most < self.most * 3 // 4):
            while self.most > most:
                await self._cancel()
        if not self._running:
            await self._add(most)
        elif (step := _step(most - self.most)) >= max(1, self.most // 4):
            await self._add(step)

    async def stop(self) -> None:
        """Take nothing more."""
        while self._running:
            await self._cancel()

    async def _add(self, size: int) -> None:
        await answer_of(self._channel.basic_qos(prefetch_count=size), WITHIN)
        started = await answer_of(self._channel.basic_consume(self._queue, self._arrived), WITHIN)
        self._running.append((started.consumer_tag or "", size))

    async def _cancel(self) -> None:
        tag, _ = self._running.pop()
        await answer_of(self._channel.basic_cancel(tag), WITHIN)


def _step(missing: int) -> int:
    """The largest power of two up to what is missing; 0 if nothing is."""
    return 1 << (missing.bit_length() - 1) if missing > 0 else 0

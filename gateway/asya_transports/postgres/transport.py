"""Queues as rows of PostgreSQL: the embedded default. docs/delivery.md has its guarantees."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from asya_crds.naming import DEAD_LETTERS, queue_name
from asya_transports.port import (
    MAX_DELIVERIES,
    Delivery,
    MessageRefused,
    MessageTooLarge,
    OutboundMessage,
    Prefetch,
    Queue,
    TransportError,
    Unroutable,
)
from asya_transports.postgres import statements
from asya_transports.postgres.answers import Acknowledgements
from asya_transports.postgres.enqueue import not_declared
from asya_transports.postgres.lease_keeper import LeaseKeeper
from asya_transports.postgres.notifier import Notifier
from asya_transports.postgres.pool import ConnectionPool, message_errors
from asya_transports.postgres.publishing import Publishes
from asya_transports.postgres.receiver import LEAVE_WITHIN, PostgresReceiver
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.receivers import Receivers

BATCH_ROWS = 256
BATCH_BYTES = 4 * 1024 * 1024
"""Most bytes of one INSERT; a larger message is inserted alone."""

DELETE_SLICE = 5000


class PostgresTransport:
    """Connects at its first use, and belongs to the event loop of that use."""

    name = "postgres"
    leaves_within = 2 * LEAVE_WITHIN

    def __init__(self, settings: PostgresSettings, namespace: str) -> None:
        self._settings = settings
        self._namespace = namespace
        self._pool = ConnectionPool(settings)
        self._notifier = Notifier(self._pool.connection, namespace)
        self._acknowledgements = Acknowledgements(self._pool)
        self._publishes = Publishes(self._publish)
        self._keeper = LeaseKeeper(settings, namespace, self._rung)
        self._receivers = Receivers[PostgresReceiver]()
        self._declared: dict[str, Queue] = {}

    async def check(self) -> None:
        async with self._pool.connection() as connection:
            await connection.execute("SELECT 1")

    async def declare(self, queue: Queue) -> None:
        """Declare the queue. `foreign` makes no difference, because no sidecar reads these queues."""
        self._declared[queue.actor] = queue
        await self._declare(queue)
        self._notifier.ring([queue.actor])

    async def _declare(self, queue: Queue) -> None:
        rows = [
            (queue_name(self._namespace, DEAD_LETTERS), self._namespace, DEAD_LETTERS, None),
            (queue_name(self._namespace, queue.actor), self._namespace, queue.actor, queue.max_deliveries),
        ]
        async with self._pool.connection() as connection:
            await connection.executemany(statements.DECLARE, rows)

    async def _declare_again(self, actor: str) -> None:
        if (declared := self._declared.get(actor)) is not None:
            await self._declare(declared)

    async def delete(self, actor: str) -> None:
        self._declared.pop(actor, None)
        queue = queue_name(self._namespace, actor)
        async with self._pool.connection() as connection:
            await connection.execute(statements.DELETE_QUEUE, queue)
            while await connection.execute(statements.DELETE_MESSAGES, queue, DELETE_SLICE) != "DELETE 0":
                pass

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        return await self._publishes.add(messages)

    async def _publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        answers: list[TransportError | None] = [None] * len(messages)
        for batch in self._batches(messages, answers):
            await self._insert(messages, batch, answers)
        self._notifier.ring({message.actor for message, answer in zip(messages, answers, strict=True) if not answer})
        return answers

    @asynccontextmanager
    async def receive(self, actor: str, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        async with self._receive(actor, prefetch, MAX_DELIVERIES) as stream:
            yield stream

    @asynccontextmanager
    async def receive_dead_letters(self, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        async with self._receive(DEAD_LETTERS, prefetch, None) as stream:
            yield stream

    async def address(self, actor: str) -> str:
        return queue_name(self._namespace, actor)

    async def depth(self, actor: str) -> int:
        async with self._pool.connection() as connection:
            count = await connection.fetchval(statements.DEPTH, queue_name(self._namespace, actor))
        return int(count)

    async def close(self) -> None:
        await self._receivers.leave()
        await self._publishes.finish()
        await self._acknowledgements.finish()
        await self._notifier.finish()
        await self._keeper.stop()
        await self._pool.close()

    @asynccontextmanager
    async def _receive(
        self, actor: str, prefetch: int | Prefetch, limit: int | None
    ) -> AsyncIterator[AsyncGenerator[Delivery]]:
        receiver = PostgresReceiver(
            self._pool,
            self._keeper,
            self._acknowledgements,
            queue=queue_name(self._namespace, actor),
            actor=actor,
            dead_letters=queue_name(self._namespace, DEAD_LETTERS),
            limit=limit,
            prefetch=Prefetch.of(prefetch),
            visibility_timeout=self._settings.visibility_timeout,
            poll_interval=self._settings.poll_interval,
            ring=self._notifier.ring,
            declare=lambda: self._declare_again(actor),
        )
        self._keeper.start()
        async with self._receivers.receive(receiver) as stream:
            yield stream

    def _rung(self, actors: list[str] | None) -> None:
        for receiver in self._receivers:
            if actors is None or receiver.actor in actors:
                receiver.rung()

    def _batches(
        self, messages: Sequence[OutboundMessage], answers: list[TransportError | None]
    ) -> Iterator[list[int]]:
        """Indexes of the messages of each INSERT. Messages that are too large are answered here."""
        batch: list[int] = []
        size = 0
        for index, message in enumerate(messages):
            length = len(message.body)
            if length > self._settings.max_message_bytes:
                limit = self._settings.max_message_bytes
                answers[index] = MessageTooLarge(f"the message has {length} bytes, the limit is {limit}")
                continue
            if batch and (size + length > BATCH_BYTES or len(batch) == BATCH_ROWS):
                yield batch
                batch, size = [], 0
            batch.append(index)
            size += length
        if batch:
            yield batch

    async def _insert(
        self, messages: Sequence[OutboundMessage], batch: list[int], answers: list[TransportError | None]
    ) -> None:
        queues = [queue_name(self._namespace, messages[index].actor) for index in batch]
        bodies = [messages[index].body for index in batch]
        try:
            async with self._pool.connection() as connection:
                with message_errors():
                    known = {row["name"] for row in await connection.fetch(statements.PUBLISH, queues, bodies)}
        except MessageRefused as error:
            if len(batch) > 1:  # one of them is at fault, so each is tried alone
                for index in batch:
                    await self._insert(messages, [index], answers)
                return
            answers[batch[0]] = error
            return
        except TransportError as error:
            for index in batch:
                answers[index] = error
            return
        for index, queue in zip(batch, queues, strict=True):
            if queue not in known:
                answers[index] = Unroutable(not_declared(queue))

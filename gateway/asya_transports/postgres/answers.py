"""Acknowledges many messages with one statement and one commit."""

import asyncio
from uuid import UUID

from asya_transports.port import LeaseLost, TransportError, TransportUnavailable
from asya_transports.postgres import statements
from asya_transports.postgres.pool import ConnectionPool

BATCH = 256


class Acknowledgements:
    """While one batch is being committed, the next one is collected; a single message is not delayed."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._waiting: list[tuple[int, UUID, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None

    async def add(self, message: int, receipt: UUID) -> None:
        """Return once the message is deleted. Raises LeaseLost, TransportUnavailable."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, receipt, answer))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="queue-acknowledgements")
        await answer

    async def finish(self) -> None:
        """Wait for the batches in progress."""
        if self._flusher is not None:
            await self._flusher

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                lost = await self._delete(batch)
                errors: dict[int, TransportError] = {
                    message: LeaseLost("the lease expired and the message was delivered again") for message in lost
                }
            except TransportError as error:
                errors = {message: error for message, _, _ in batch}
            for message, _, answer in batch:
                if answer.done():  # its waiter was cancelled
                    continue
                if message in errors:
                    answer.set_exception(errors[message])
                else:
                    answer.set_result(None)

    async def _delete(self, batch: list[tuple[int, UUID, asyncio.Future[None]]]) -> set[int]:
        messages, receipts = [entry[0] for entry in batch], [entry[1] for entry in batch]
        try:
            return await self._run(messages, receipts)
        except TransportUnavailable:
            # A pooled connection that was lost unnoticed fails at its first statement. The delete may be repeated.
            return await self._run(messages, receipts)

    async def _run(self, messages: list[int], receipts: list[UUID]) -> set[int]:
        async with self._pool.connection() as connection:
            return {row["id"] for row in await connection.fetch(statements.ACK, messages, receipts)}

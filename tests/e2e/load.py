"""A steady load of calls and open streams, and the audit of everything that was accepted."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from tests.e2e.callers import Callers
from tests.e2e.cluster import Cluster
from tests.support.waiting import lasts, until

EVERY = 0.2
"""Seconds between two calls: steady, and little enough for two cores that carry a whole cluster."""
FOLLOWED = 2
"""Each second task has a reader from its beginning."""
TAKES = 0.5
"""Seconds that the second hop takes, so that streams are open when something happens."""


class Load:
    """Calls one flow until it is told to stop."""

    def __init__(self, cluster: Cluster, callers: Callers, flow: str) -> None:
        self.cluster, self.callers, self.flow = cluster, callers, flow
        self._calls: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The load goes on inside the block; three seconds of it come before and after."""
        pump = asyncio.create_task(self._pump())
        try:
            await lasts(3)
            yield
            await lasts(3)
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await asyncio.gather(*self._calls)

    async def open_streams(self, count: int, takes: float) -> None:
        """Tasks that take so long (s), each with a reader, to be open when something happens."""
        for number in range(count):
            task_id = await self.callers.submit(self.flow, {"text": f"long {number}", "takes": takes})
            assert task_id is not None
            self.callers.follow(task_id)

    async def _pump(self) -> None:
        due, number = time.monotonic(), 0
        while True:
            number += 1
            call = asyncio.create_task(self._call(number))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            due += EVERY
            await lasts(max(0.0, due - time.monotonic()))

    async def _call(self, number: int) -> None:
        task_id = await self.callers.submit(self.flow, {"text": f"call {number}", "takes": TAKES})
        if task_id is not None and number % FOLLOWED == 0:
            self.callers.follow(task_id)

    async def audit(self, *, settle: float = 60) -> None:
        """Every accepted task ended once and well, its log has no gap, and each reader saw all of it once.

        `settle` is how long the last task may take (s): a hop whose worker was killed is taken over when its lease
        has run out.
        """
        callers = self.callers
        assert len(callers.accepted) >= 10, callers.answers
        rows = await until(self._when_all_ended, settle, "the end of every accepted task")
        assert {row[0] for row in rows} == callers.accepted.keys(), "an accepted task is gone"
        for task_id, status, last_seq, finals, seqs in rows:
            assert status == "succeeded", (task_id, status)
            assert finals == "1", (task_id, finals)
            assert seqs == ",".join(str(seq) for seq in range(1, int(last_seq) + 1)), (task_id, seqs)
        await until(lambda: all(reader.ends for reader in callers.readers), 60, "every reader's end")
        lengths = {row[0]: int(row[2]) for row in rows}
        for reader in callers.readers:
            assert reader.ends == ["succeeded"], reader
            assert reader.seqs == list(range(1, lengths[reader.task_id] + 1)), reader
        for task_id, arguments in list(callers.accepted.items())[:: max(1, len(callers.accepted) // 20)]:
            result = (await callers.task(task_id))["result"]
            assert result["text"] == arguments["text"].upper() + "!"

    async def _when_all_ended(self) -> list[list[str]] | None:
        rows = await asyncio.to_thread(self._rows)
        ended = all(row[1] in ("succeeded", "failed", "canceled") for row in rows)
        return rows if ended else None

    def _rows(self) -> list[list[str]]:
        ids = ",".join(f"'{task_id}'" for task_id in self.callers.accepted)
        return self.cluster.sql(
            "SELECT t.id, t.status, t.last_seq, count(*) FILTER (WHERE u.kind = 'final'),"
            " string_agg(u.seq::text, ',' ORDER BY u.seq)"
            f" FROM tasks t LEFT JOIN task_updates u ON u.task_id = t.id WHERE t.id IN ({ids}) GROUP BY t.id"
        )


def resumed(callers: Callers) -> int:
    """How many readers needed more than one connection."""
    return sum(reader.connections > 1 for reader in callers.readers)

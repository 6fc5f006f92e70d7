"""The MCP fixture as the tests of this folder use it: two replicas, and a round robin before them."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from servers.databases import run_apart
from tests.conformance.cutting import Cutting
from tests.protocol.mcp.fixture.deployment import Deployment
from tests.protocol.mcp.fixture.round_robin import RoundRobin
from tests.support.waiting import until

T = TypeVar("T")
FOUND = """
SELECT t.id::text, t.status FROM tasks t JOIN task_bodies b ON b.task_id = t.id AND b.kind = 'payload'
WHERE $1 IN (b.body ->> 'name', b.body ->> 'label', b.body ->> 'message')
"""
ENDED = {"succeeded", "failed", "canceled"}


class Served:
    """`one` is the endpoint of a single replica; `both` sends each message to the next one."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.database_url = database_url
        # Clients wait six seconds for the next progress of a call: five intervals may be late on a busy machine.
        self.deployment = Deployment(folder, database_url, replicas=2, MCP_PROGRESS_INTERVAL="1s")
        self.one = f"{self.deployment.urls[0]}/mcp"
        self.both = ""
        self._loop = asyncio.new_event_loop()
        self._fronts: list[RoundRobin] = []
        # The tests have event loops of their own, one each, and the fronts serve all of them.
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        run_apart(self.deployment.start)
        self._thread.start()
        self.both = self._started(RoundRobin(self.deployment.urls))

    def cutting(self) -> tuple[Cutting, str]:
        """A front of its own that breaks a stream, and its endpoint."""
        front = Cutting(self.deployment.urls)
        return front, self._started(front)

    def end(self) -> None:
        if self._thread.is_alive():
            self._run(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        self.deployment.end()

    async def _stop(self) -> None:
        await asyncio.gather(*(front.stop() for front in self._fronts))

    def _started(self, front: RoundRobin) -> str:
        port = self._run(front.start())
        self._fronts.append(front)
        return f"http://127.0.0.1:{port}/mcp"

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def tasks(self, mark: str) -> list[tuple[str, str]]:
        """Id and status of all tasks whose payload has this `name`, `label` or `message`."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return [(row["id"], row["status"]) for row in await connection.fetch(FOUND, mark)]
        finally:
            await connection.close()

    async def task_that_is(self, status: str, mark: str) -> str:
        """The id of the one task with this mark, once it has this status."""

        async def found() -> str | None:
            return next((id for id, now in await self.tasks(mark) if now == status), None)

        return str(await until(found, 60, f"{mark} being {status}"))

    async def ended_as(self, mark: str) -> str:
        """How the one task with this mark ended, once it has."""

        async def found() -> str | None:
            return next((now for _, now in await self.tasks(mark) if now in ENDED), None)

        return str(await until(found, 60, f"the end of {mark}"))

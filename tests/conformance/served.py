"""The MCP fixture as the tests of this folder use it: two replicas, and a round robin before them."""

import asyncio
import threading
from pathlib import Path

import asyncpg

from servers.databases import run_apart
from servers.ports import free_port
from tests.protocol.mcp.fixture.deployment import Deployment
from tests.protocol.mcp.fixture.round_robin import RoundRobin
from tests.support.waiting import until


class Served:
    """`one` is the endpoint of a single replica; `both` sends each message to the next one."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.database_url = database_url
        self.deployment = Deployment(folder, database_url, replicas=2)
        self.one = f"{self.deployment.urls[0]}/mcp"
        port = free_port()
        self.both = f"http://127.0.0.1:{port}/mcp"
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._front = RoundRobin(self.deployment.urls)
        # The tests have event loops of their own, one each, and the round robin serves all of them.
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        run_apart(self.deployment.start)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._front.start(self._port), self._loop).result(20)

    def end(self) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._front.stop(), self._loop).result(20)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        self.deployment.end()

    async def ended_as(self, mark: str) -> str:
        """How the task whose payload has this `name` (or `label`) ended, once it has."""
        connection = await asyncpg.connect(self.database_url)
        try:

            async def status() -> str | None:
                found: str | None = await connection.fetchval(
                    "SELECT t.status FROM tasks t JOIN task_bodies b ON b.task_id = t.id AND b.kind = 'payload' "
                    "WHERE $1 IN (b.body ->> 'name', b.body ->> 'label') AND t.finished_at IS NOT NULL",
                    mark,
                )
                return found

            return str(await until(status, 20, f"the end of {mark}"))
        finally:
            await connection.close()

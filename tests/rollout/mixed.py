"""The world of the fault tests with programs of two versions: the working tree and the commit before it."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
from typing_extensions import override

from servers.commits import ROOT, import_path
from servers.ports import free_port
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitNode
from tests.faults.world import Process, World
from tests.support.waiting import lasts

HERE = Path(__file__).parent
FLOWS = """
flows:
  - {name: work, entrypoint: first, routeNext: [second], timeout: 10m, mcp: {}}
  - {name: ask, entrypoint: first, routeNext: [x-pause, x-pause, second], timeout: 10m, mcp: {}}
"""
GATEWAY = ("mesh", "api", "api2")
ACTORS = ("first", "second", "crew")
EVERYTHING = (*GATEWAY, *ACTORS)


class MixedWorld(World):
    """Calls of plain tasks, of tasks with children and of tasks that pause twice and are answered."""

    flows = FLOWS
    handlers = HERE

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        rabbit: RabbitNode | None,
        rabbit_url: str,
        previous: Path,
    ) -> None:
        super().__init__(folder, postgres, rabbit, rabbit_url)
        self.previous = previous
        """The tree of the version before."""
        self.of_previous: set[str] = set()
        """Names of the processes that run it."""
        self.asked: list[str] = []

    @override
    def place(self, process: Process) -> None:
        process.folder = self.previous if process.name in self.of_previous else ROOT
        process.environment["PYTHONPATH"] = import_path(process.folder, self.handlers)
        if not process.url:
            # A worker is asked there whether it is ready: one that has only just begun ends by SIGTERM itself.
            port = free_port()
            process.environment["ASYA_METRICS_PORT"] = str(port)
            process.url = f"http://127.0.0.1:{port}"

    def migrate_by_previous(self) -> None:
        """Make the schema that the version before knows."""
        environment = self.environment(PYTHONPATH=import_path(self.previous))
        command = [sys.executable, "-m", "asya_cli", "migrate"]
        subprocess.run(command, env=environment, cwd=self.previous, check=True)

    async def replace(self, name: str) -> None:
        """An orderly stop, and a start of the other version with the same settings."""
        process = self.processes[name]
        await asyncio.to_thread(process.end)
        assert process.running is not None
        assert process.running.returncode == 0, name
        self.of_previous ^= {name}
        self.place(process)
        process.start()
        await self.ready(name)

    @override
    async def call(self, process: str, flow: str = "", **payload: Any) -> str | None:
        """A call of this flow, or of each kind in turn."""
        if flow:
            return await super().call(process, flow, **payload)
        kind = self._number % 4
        if kind == 0:
            return await super().call(process, "work", parts=3, **payload)
        if kind == 1:
            task_id = await super().call(process, "ask", **payload)
            if task_id is not None:
                self.asked.append(task_id)
                self._spawn(self._answer(task_id))
            return task_id
        return await super().call(process, "work", **payload)

    async def _answer(self, task_id: str) -> None:
        """Answer whatever it asks until it ends; the n-th question with `{"answer<n>": n}`."""
        asked: list[str] = []
        while True:
            await lasts(0.1)
            try:
                task = await self.task(task_id)
                if task.get("status") in ("succeeded", "failed", "canceled"):
                    return
                if task.get("status") == "paused":
                    await self._answer_pause(task_id, task["pause"]["id"], asked)
            except (aiohttp.ClientError, TimeoutError):
                continue

    async def _answer_pause(self, task_id: str, pause_id: str, asked: list[str]) -> None:
        if pause_id not in asked:
            asked.append(pause_id)
        number = asked.index(pause_id) + 1
        body = {"answer": {f"answer{number}": number}, "pause_id": pause_id}
        async with self.session.post(f"{self.processes['api'].url}/tasks/{task_id}/resume", json=body) as response:
            assert response.status in (200, 409, 503), await response.text()

    @override
    async def audit(self, *, statuses: tuple[str, ...] = ("succeeded",), reruns: tuple[str, ...] = ()) -> None:
        """What the fault tests ask, and that children and answers arrived, each once."""
        await super().audit(statuses=statuses, reruns=reruns)
        assert self.asked, "the load asked nothing"
        for task_id in self.asked:
            result = (await self.task(task_id))["result"]
            assert (result["answer1"], result["answer2"], result["done"]) == (1, 2, True), task_id
        rows = await self.query("SELECT kind, count(*) AS n FROM task_updates GROUP BY kind")
        counts = {row["kind"]: row["n"] for row in rows}
        assert counts["paused"] == counts["resumed"] == 2 * len(self.asked)
        children = await self.query_value("SELECT count(*) FROM tasks WHERE parent_id IS NOT NULL")
        assert children > 0
        assert children % 2 == 0, "of each task with three parts two are children"

"""The world of the fault tests with programs of two versions: the working tree and the commit before it."""

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from typing_extensions import override

from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitNode
from tests.rollout.versions import TwoVersions
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


class Balancer:
    """One address for several gateways, which take its requests in turn."""

    def __init__(self, *upstreams: str) -> None:
        self._upstreams = itertools.cycle(upstreams)
        self._session = aiohttp.ClientSession()
        self._runner: web.AppRunner | None = None
        self.answers: Counter[tuple[str, int]] = Counter()
        """How often each path was answered with each status."""
        self.url = ""

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._session.close()

    async def _forward(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        url = next(self._upstreams) + request.path_qs
        try:
            async with self._session.request(
                request.method, url, data=await request.read(), headers=headers, allow_redirects=False
            ) as response:
                body, status = await response.read(), response.status
                kind = response.headers.get("Content-Type", "application/json")
        except aiohttp.ClientError:
            body, status, kind = b"", 502, "text/plain"
        self.answers[request.path, status] += 1
        return web.Response(body=body, status=status, headers={"Content-Type": kind})


_OF_THE_CONNECTION = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}


class MixedWorld(TwoVersions):
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
        self.previous, self.of_previous = previous, set()
        self.asked: list[str] = []
        self.balancer: Balancer | None = None

    async def up_behind_one_address(self) -> None:
        """As `up`, with a mesh of each version behind one address."""
        self.migrate()
        self.of_previous.add("mesh-before")
        urls = [self.gateway(name, "mesh").url for name in ("mesh", "mesh-before")]
        for name in ("mesh", "mesh-before"):
            await self.ready(name)
        self.balancer = Balancer(*urls)
        await self.balancer.start()
        self.processes["mesh"].url = self.balancer.url
        self.gateway("api", "api")
        self.gateway("api2", "api")
        for actor in self.workers:
            self.worker(actor)
        self.crew()
        for name in ("api", "api2"):
            await self.ready(name)
        await self.call_until_done()

    @override
    async def close(self) -> None:
        await super().close()
        if self.balancer is not None:
            await self.balancer.close()

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

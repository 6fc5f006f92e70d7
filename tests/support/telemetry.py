"""A whole gateway in this process, and its /metrics."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from asya_gateway.composition.program import Gateway
from asya_gateway.composition.web import serve
from tests.support.gateway import FLOWS, make_settings
from tests.support.waiting import until


@dataclass
class Watched:
    """A served gateway; `url` is its routes', `scrape` its metrics'."""

    program: Gateway
    app: web.Application
    url: str
    session: aiohttp.ClientSession

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and decoded answer."""
        async with self.session.request(method, self.url + path, json=body, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" else text

    async def submit(self, name: str = "anything", arguments: Any = None, **headers: str) -> str:
        """Call a flow and return the task's id."""
        status, answer = await self.send("POST", "/tools/call", {"name": name, "arguments": arguments or {}}, **headers)
        assert status == 200, answer
        return str(json.loads(answer["content"][0]["text"])["task_id"])

    async def finish(self, task_id: str, status: str = "succeeded", **headers: str) -> None:
        code, answer = await self.send("POST", f"/mesh/{task_id}/final", {"id": task_id, "status": status}, **headers)
        assert code == 200, answer

    async def text(self, **headers: str) -> str:
        """/metrics as it stands."""
        url = f"http://127.0.0.1:{self.program.observing.port}/metrics"
        async with self.session.get(url, headers=headers) as response:
            assert response.status == 200
            return await response.text()

    async def samples(self) -> dict[str, list[Sample]]:
        """Every sample of /metrics, by the sample's name."""
        found: dict[str, list[Sample]] = {}
        for family in text_string_to_metric_families(await self.text()):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample)
        return found

    async def value(self, name: str, **labels: str) -> float | None:
        """The one sample of that name with at least these labels; None where it is absent."""
        found = [s for s in (await self.samples()).get(name, []) if labels.items() <= s.labels.items()]
        assert len(found) <= 1, found
        return found[0].value if found else None

    async def becomes(self, expected: float | None, name: str, **labels: str) -> None:
        """Wait until the sample has this value."""

        async def reached() -> bool:
            return await self.value(name, **labels) == expected

        await until(reached, what=f"{name}{labels} == {expected}")


@contextlib.asynccontextmanager
async def start_watched(
    database_url: str, folder: Path, *, expect_parts: bool = True, **changes: Any
) -> AsyncGenerator[Watched]:
    """Serve a whole gateway until the block ends, polled ten times a second; `changes` are settings.

    `folder` gets the flows.yaml of tests/support/gateway.py. Its parts need not be connected yet when the block
    begins, but /metrics is served; without `expect_parts` they never will be.
    """
    flows = folder / "flows.yaml"
    flows.write_text(json.dumps({"flows": FLOWS}))
    program = Gateway(make_settings(database_url=database_url, metrics_port=0, config_path=str(flows), **changes))
    async with serving(program, expect_parts) as watched:
        yield watched


@contextlib.asynccontextmanager
async def serving(program: Gateway, expect_parts: bool = True) -> AsyncGenerator[Watched]:
    """Serve that gateway."""
    program.observing.poll_every = 0.1
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    app = program.web()
    served = asyncio.create_task(serve(app, program.running(), stop, port.set_result))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        watched = Watched(program, app, f"http://127.0.0.1:{await port}", session)
        try:
            await until(lambda: served.done() or program.observing.port is not None, what="/metrics")
            yield watched
        finally:
            stop.set()
            if not expect_parts:
                served.cancel()
            await asyncio.gather(served, return_exceptions=not expect_parts)


async def ready(watched: Watched) -> None:
    """Wait until requests are taken and flows are known."""

    async def started() -> bool:
        status, _ = await watched.send("GET", "/health/ready")
        return status == 200 and bool(watched.program.flows.table.flows)

    await until(started, what="/health/ready and the flows")

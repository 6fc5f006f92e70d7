"""A mesh that misbehaves on purpose: it gives scripted answers and records the requests."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from asya_crds.hop_reports import REPORTS_PATH

ANSWERS = {
    "begin": {"action": "go", "known": True, "lease_seconds": 15, "remaining_seconds": 60},
    "end": {"outcome": "ended"},
    "part": {"outcome": "kept"},
    "alive": {"action": "go", "lease_seconds": 15},
}


@dataclass
class MeshStub:
    """`answers` are taken one by one: a status, (status, body), (status, body, headers), or "lost" for a
    connection that is cut after the request was read. Without any, 200.

    Reports that travel together are answered by `report`, one by one."""

    url: str = ""
    answers: deque[Any] = field(default_factory=deque)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    report: Callable[[Any], Any] = field(default=lambda report: ANSWERS[report["kind"]])
    under_way: int = 0
    most_under_way: int = 0

    @property
    def batches(self) -> list[list[Any]]:
        """The reports of each request."""
        return [body["reports"] for _, path, body in self.requests if path == REPORTS_PATH]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        said = jsontext.loads(body) if body else None
        self.requests.append((request.method, request.path_qs, said))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.hold.wait()
        self.under_way -= 1
        answer = self.answers.popleft() if self.answers else self.usual(request.path, said)
        if answer == "lost":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        given = answer if isinstance(answer, tuple) else (answer,)
        defaults: list[Any] = ["", {}]
        status, text, headers = (*given, *defaults[len(given) - 1 :])
        return web.Response(status=status, text=text, headers=headers)

    def usual(self, path: str, body: Any) -> Any:
        if path != REPORTS_PATH:
            return 200
        return 200, jsontext.dumps({"answers": [self.report(report) for report in body["reports"]]})


@contextlib.asynccontextmanager
async def mesh_stub() -> AsyncIterator[MeshStub]:
    stub = MeshStub()
    stub.hold.set()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stub
    finally:
        stub.hold.set()
        await runner.cleanup()

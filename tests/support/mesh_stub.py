"""A mesh that misbehaves on purpose: it gives scripted answers and records the requests."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from asya_crds import jsontext


@dataclass
class MeshStub:
    """`answers` are taken one by one: a status, (status, body), (status, body, headers), or "lost" for a
    connection that is cut after the request was read. Without any, 200."""

    url: str = ""
    answers: deque[Any] = field(default_factory=deque)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, request.path_qs, jsontext.loads(body) if body else None))
        await self.hold.wait()
        answer = self.answers.popleft() if self.answers else 200
        if answer == "lost":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        given = answer if isinstance(answer, tuple) else (answer,)
        defaults: list[Any] = ["", {}]
        status, text, headers = (*given, *defaults[len(given) - 1 :])
        return web.Response(status=status, text=text, headers=headers)


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

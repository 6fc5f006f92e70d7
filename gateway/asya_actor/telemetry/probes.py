"""/metrics for Prometheus, /health and /health/ready for probes, on a port of their own."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from asya_actor.telemetry.metrics import REGISTRY

log = logging.getLogger(__name__)


@asynccontextmanager
async def probes(host: str, port: int, ready: Callable[[], bool]) -> AsyncIterator[int | None]:
    """Serve while the block runs; yields the port. A port of -1 serves nothing."""
    if port < 0:
        yield None
        return

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def health(_request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def health_ready(_request: web.Request) -> web.Response:
        return web.Response(text="OK") if ready() else web.Response(status=503, text="not consuming")

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/health", health), web.get("/health/ready", health_ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        taken: int = runner.addresses[0][1]
        log.info("metrics and probes on port %d", taken)
        yield taken
    finally:
        await runner.cleanup()

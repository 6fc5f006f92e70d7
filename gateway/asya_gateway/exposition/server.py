"""/metrics on a separate port, so that callers of the gateway cannot read its metrics."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from asya_crds.front_page import front_page
from asya_crds.listening import dual_stack_socket, listening

log = logging.getLogger(__name__)

FRONT_PAGE = front_page(
    "These are the metrics of an asya gateway, which serves its callers and actors at another port.",
    "Prometheus reads /metrics.",
    "docs/observability.md",
)


@asynccontextmanager
async def metrics_server(registry: CollectorRegistry, host: str, port: int) -> AsyncGenerator[int]:
    """Serve the registry at GET /metrics; yields the port (a free one if `port` is 0). Raises CannotListen."""

    async def metrics(request: web.Request) -> web.Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        except (ValueError, TypeError):  # an invalid version in the Accept header
            encode, content_type = choose_encoder("")
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def front(_request: web.Request) -> web.Response:
        return web.Response(text=FRONT_PAGE)

    app = web.Application()
    app.router.add_get("/", front)
    for path in ("/metrics", "/metrics/"):
        app.router.add_get(path, metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        with listening(("ASYA_GATEWAY_HOST", host), ("ASYA_METRICS_PORT", port)):
            both = dual_stack_socket(host, port)
            await (web.TCPSite(runner, host, port) if both is None else web.SockSite(runner, both)).start()
        bound: int = runner.addresses[0][1]
        log.info("metrics on %s:%s", host, bound)
        yield bound
    finally:
        await runner.cleanup()

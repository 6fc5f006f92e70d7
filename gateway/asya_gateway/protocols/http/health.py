"""/health and /health/ready: whether the process is alive, and whether it accepts requests. Neither uses the
database."""

from http import HTTPStatus

from aiohttp import web

from asya_gateway.protocols.http.keys import READINESS
from asya_gateway.protocols.http.policies import PUBLIC, add_get


async def health(_request: web.Request) -> web.Response:
    """Always 200 with the text OK. Sidecars wait for it, and a database outage must not restart the pods."""
    return web.Response(text="OK")


async def ready(request: web.Request) -> web.Response:
    """503 until the start has finished, and again from SIGTERM on."""
    readiness = request.app[READINESS]
    if readiness.ready:
        return web.Response(text="OK")
    text = "draining" if readiness.draining else "starting"
    return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=text, headers={"Retry-After": "1"})


def register(app: web.Application) -> None:
    """Add both routes."""
    add_get(app, "/health", health, PUBLIC)
    add_get(app, "/health/ready", ready, PUBLIC)

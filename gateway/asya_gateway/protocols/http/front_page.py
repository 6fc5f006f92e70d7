"""GET /: tells a browser what this service is, and where it is documented."""

from aiohttp import web

from asya_crds.front_page import front_page
from asya_gateway.protocols.http.keys import SETTINGS
from asya_gateway.protocols.http.policies import PUBLIC, add_get
from asya_gateway.settings import Mode

FOR_CALLERS = front_page(
    "This is an asya gateway: flows of asynchronous actors behind MCP, A2A, REST and live streams.",
    "MCP clients connect to /mcp; /openapi.json describes the other routes, /health/flows says what is served.",
    "docs/protocols for clients, docs/cli.md for the command line",
)
FOR_ACTORS = front_page(
    "This is an asya gateway in mode mesh, to which workers, sidecars and the crew report; callers use mode api.",
    "/openapi.json describes its routes, /health/flows says what is served.",
    "docs/protocols/mesh.md",
)


async def _answer(request: web.Request) -> web.Response:
    mode = request.app[SETTINGS].gateway_mode
    return web.Response(text=FOR_ACTORS if mode is Mode.MESH else FOR_CALLERS)


def register(app: web.Application) -> None:
    """Add the route."""
    add_get(app, "/", _answer, PUBLIC)

"""GET /: tells a browser what this service is, and where it is documented."""

from aiohttp import web

from asya_gateway.protocols.http.policies import PUBLIC, add_get

TEXT = (
    "This is an asya gateway: flows of asynchronous actors behind MCP, REST and live streams.\n"
    "MCP clients connect to /mcp; /openapi.json describes the other routes, /health/flows says what is served.\n"
    "Documentation is in the project's folder docs: docs/protocols for clients, docs/cli.md for the command line.\n"
)


async def front_page(_request: web.Request) -> web.Response:
    """Three lines of plain text."""
    return web.Response(text=TEXT)


def register(app: web.Application) -> None:
    """Add the route."""
    add_get(app, "/", front_page, PUBLIC)

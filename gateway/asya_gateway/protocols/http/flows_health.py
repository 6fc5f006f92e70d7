"""GET /health/flows: which flows this process serves, which it leaves out, and why. It does not use the database."""

from aiohttp import web

from asya_crds import jsontext
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.keys import FLOWS_REPORT


async def flows(request: web.Request) -> web.Response:
    """{generation, flows: [{name, actors, mcp, a2a, source, line}], problems: [{name, reason, source, line}], file}."""
    return json_response(jsontext.dumps(request.app[FLOWS_REPORT]()))


def register(app: web.Application) -> None:
    """Add the route."""
    app.router.add_get("/health/flows", flows)

"""GET /health/flows: which flows this process serves, which it leaves out, and why. It does not use the database."""

import asyncio

from aiohttp import web

from asya_crds import jsontext
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.keys import FLOWS_REPORT
from asya_gateway.protocols.http.policies import REST_READ, add_get


async def flows(request: web.Request) -> web.Response:
    """{generation, flows: [{name, actors, mcp, a2a, source, line}], problems: [{name, reason, source, line}],
    unroutable: [{actor, messages, reason}], file}."""
    report, caller = request.app[FLOWS_REPORT], caller_of(request)
    # In a thread, part by part: tens of thousands of flows would hold the event loop.
    return json_response(await asyncio.to_thread(lambda: jsontext.dumps_by_parts(report(caller))))


def register(app: web.Application) -> None:
    """Add the route."""
    add_get(app, "/health/flows", flows, REST_READ)

"""GET /flows: the flows that a caller may see, with what it needs to call them."""

import base64
import binascii
import re

from aiohttp import web

from asya_crds import jsontext
from asya_crds.flows_json import FlowPageJson, FlowSummaryJson
from asya_crds.naming import MAX_ID_LENGTH
from asya_gateway.domain.budget import SMALL, Share
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.identity.access import may_invoke
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.keys import BUDGET, FLOWS
from asya_gateway.protocols.http.queries import bounded_integer, only_parameters

LARGEST_PAGE = 500
PAGE_SIZE = 1024 * 1024
"""Most characters of a page's schemas and descriptions, except that a page has at least one flow."""
_CURSOR = re.compile(rf"[A-Za-z0-9_-]{{1,{2 * MAX_ID_LENGTH}}}")
WEIGHT = 6
"""Weight of a page per character: the text, the response made from it, and the socket's copies."""


async def list_flows(request: web.Request) -> web.Response:
    """GET /flows?limit=&cursor=: {flows, next_cursor}, by name. `next_cursor` is null on the last page."""
    only_parameters(request, "limit", "cursor")
    limit = bounded_integer(request, "limit", default=50, least=1, most=LARGEST_PAGE)
    caller = caller_of(request)
    found, more = request.app[FLOWS].flows_after(_read_cursor(request), limit, PAGE_SIZE, caller)
    size = sum(served.size for served in found)
    if size > SMALL:
        await request.app[BUDGET].reserve(Share.READERS, WEIGHT * size)
    page: FlowPageJson = {
        "flows": [_summary(served, caller) for served in found],
        "next_cursor": _cursor(found[-1].flow.name) if more else None,
    }
    return json_response(jsontext.dumps(page))


def _summary(served: ServedFlow, caller: Caller) -> FlowSummaryJson:
    flow = served.flow
    return {
        "name": flow.name,
        "description": flow.description,
        "input_schema": flow.mcp.input_schema if flow.mcp is not None and flow.is_tool else None,
        "mcp": flow.mcp is not None,
        "a2a": flow.a2a is not None,
        "callable": may_invoke(caller, flow),
    }


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _read_cursor(request: web.Request) -> str:
    text = request.query.get("cursor")
    if text is None:
        return ""
    try:
        if not _CURSOR.fullmatch(text):
            raise ValueError
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (ValueError, binascii.Error):
        raise InvalidInput("expected a next_cursor of an earlier answer", field="cursor") from None

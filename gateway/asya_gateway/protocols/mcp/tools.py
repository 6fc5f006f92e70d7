"""tools/list: the flows that are exposed as tools, in the form of each revision."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from asya_crds.flow import Flow
from asya_gateway.domain.budget import SMALL, Share
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.versions import Revision

PAGE = 500
"""Tools on one page; a listing continues with its cursor."""
PAGE_SIZE = 1024 * 1024
"""Most characters of a page's tools, except that a page has at least one tool. A schema may have 128 KiB, and a page is
encoded in one step."""
WEIGHT = 6
"""Weight of a page per character: the text, the response made from it, and the socket's copies."""
LONGEST_CURSOR = 512


async def list_tools(context: RequestContext) -> Result:
    """Every tool by name, always in the same order. Raises NoRoom, and InvalidParams for an invalid cursor."""
    found, more = context.flows.tools_after(read_cursor(context.params), PAGE, PAGE_SIZE)
    size = sum(served.size for served in found)
    if size > SMALL:
        await context.budget.reserve(Share.READERS, WEIGHT * size)
    fields: dict[str, Any] = {"tools": [definition(served.flow, context.revision) for served in found]}
    if more:
        fields["nextCursor"] = cursor_after(found[-1].flow.name)
    return Result(fields, cacheable=True)


def definition(flow: Flow, revision: Revision) -> dict[str, Any]:
    """A Tool object. The inputSchema is sent as it was written; clients need a non-empty description."""
    exposure = flow.mcp
    assert exposure is not None  # the registry lists exposed flows only
    tool: dict[str, Any] = {
        "name": flow.name,
        "description": flow.description.strip() or f"Runs the flow {flow.name}.",
        "inputSchema": exposure.input_schema,
    }
    if exposure.annotations:
        tool["annotations"] = exposure.annotations
    if revision.structured:
        if exposure.title:
            tool["title"] = exposure.title
        if shows_output_schema(flow, revision):
            tool["outputSchema"] = exposure.output_schema
    return tool


def shows_output_schema(flow: Flow, revision: Revision) -> bool:
    """Whether clients of this revision are shown the flow's outputSchema, and so check results against it. Before
    2026-07-28 its root must be an object."""
    schema = flow.mcp.output_schema if flow.mcp is not None else None
    if schema is None or not revision.structured:
        return False
    return revision.any_structured or schema.get("type") == "object"


def cursor_after(name: str) -> str:
    """The opaque cursor of the page that begins after this tool. It contains the name, so any replica can continue."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def read_cursor(params: Mapping[str, Any]) -> str:
    """The name in a cursor of cursor_after, "" without a cursor. Raises InvalidParams."""
    cursor = params.get("cursor")
    if cursor is None:
        return ""
    try:
        if not isinstance(cursor, str) or len(cursor) > LONGEST_CURSOR:
            raise ValueError
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise InvalidParams("cursor: expected the nextCursor of an earlier answer") from None

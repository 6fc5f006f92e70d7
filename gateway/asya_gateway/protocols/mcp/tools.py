"""tools/list: the flows that are exposed as tools, in the form of each revision."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asya_crds.flow import Flow
from asya_gateway.domain.offers import TOOLS, RunOffer
from asya_gateway.protocols.mcp.listing import list_page
from asya_gateway.protocols.mcp.passing_on import passed_on
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.task_tools import is_task_tool, task_tools
from asya_gateway.protocols.mcp.versions import Revision


async def list_tools(context: RequestContext) -> Result:
    """Every tool by name, always in the same order. Raises NoRoom, and InvalidParams for an invalid cursor."""
    page = await list_page(context, TOOLS, "tools", definition)
    if not context.settings.mcp_task_tools:
        return page
    fields = dict(page.fields)
    fields["tools"] = [tool for tool in fields["tools"] if not is_task_tool(context, tool["name"])]
    if "nextCursor" not in fields:
        fields["tools"] += task_tools(context.revision)
    return replace(page, fields=fields)


def definition(offer: RunOffer, revision: Revision) -> dict[str, Any]:
    """A Tool object. The inputSchema is sent as it was written; clients need a non-empty description."""
    flow, exposure = offer.served.flow, offer.exposure
    tool: dict[str, Any] = {
        "name": offer.key,
        "description": flow.description.strip() or f"Runs the flow {flow.name}.",
        "inputSchema": shown_schema(exposure.input_schema, revision),
    }
    if exposure.annotations and revision.annotations:
        tool["annotations"] = exposure.annotations
    if revision.experimental_tasks and exposure.task != "never":
        tool["execution"] = {"taskSupport": "required" if exposure.task == "required" else "optional"}
    if shows_output_schema(flow, revision):
        tool["outputSchema"] = shown_schema(exposure.output_schema or {}, revision)
    return tool | passed_on(exposure, revision)


def shown_schema(schema: Mapping[str, Any], revision: Revision) -> Mapping[str, Any]:
    """A schema as clients of this revision read it. Before 2026-07-28 each property's schema had to be an object, and
    their SDKs drop the whole list for one that is a boolean."""
    properties = schema.get("properties")
    if revision.stateless or not isinstance(properties, Mapping) or not any(map(_is_boolean, properties.values())):
        return schema
    as_objects = {name: _as_object(part) if _is_boolean(part) else part for name, part in properties.items()}
    return {**schema, "properties": as_objects}


def _is_boolean(part: Any) -> bool:
    return isinstance(part, bool)


def _as_object(part: bool) -> dict[str, Any]:
    return {} if part else {"not": {}}


def shows_output_schema(flow: Flow, revision: Revision) -> bool:
    """Whether clients of this revision are shown the flow's outputSchema, and so check results against it. Before
    2026-07-28 its root must be an object."""
    schema = flow.mcp.output_schema if flow.mcp is not None else None
    if schema is None or not revision.structured:
        return False
    return revision.any_structured or schema.get("type") == "object"

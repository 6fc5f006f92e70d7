"""resources/list, resources/templates/list and resources/read: flows and tasks as resources (2026-07-28,
server/resources)."""

from collections.abc import Mapping
from typing import Any

from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.offers import RESOURCES, TEMPLATES, ResourceOffer, TaskOffer
from asya_gateway.domain.task import Task
from asya_gateway.domain.task_offers import VARIABLE
from asya_gateway.protocols.http.holding import HeldRequest
from asya_gateway.protocols.mcp.arguments import typed
from asya_gateway.protocols.mcp.errors import ResourceNotFound
from asya_gateway.protocols.mcp.listing import list_page
from asya_gateway.protocols.mcp.members import is_id, text_member
from asya_gateway.protocols.mcp.passing_on import passed_on
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.resource_results import JSON, resource_result
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.running import HeldRun, Render, rendered, run_flow
from asya_gateway.protocols.mcp.task_resources import read_task
from asya_gateway.protocols.mcp.versions import Revision

LONGEST_URI = 8 * 1024
"""Characters of a URI that any resource has, with its variables. It stands in the row of an open call, too."""


async def list_resources(context: RequestContext) -> Result:
    """Every resource by URI. Raises NoRoom, and InvalidParams for an invalid cursor."""
    return await list_page(context, RESOURCES, "resources", definition)


async def list_templates(context: RequestContext) -> Result:
    """Every template. Raises NoRoom, and InvalidParams for an invalid cursor."""
    return await list_page(context, TEMPLATES, "resourceTemplates", definition)


async def read_resource(context: RequestContext) -> Result | HeldRequest[Result]:
    """Run the flow, or read the task. Raises ResourceNotFound, Denied, InvalidParams, and what run_flow raises."""
    uri = text_member(context.params, "uri")
    found = find(context, uri)
    if found is None:
        raise ResourceNotFound(uri, context.revision)
    offer, values = found
    offer.check_use(context.caller)
    if isinstance(offer, TaskOffer):
        return await read_task(context, offer, values[VARIABLE], uri)
    return await _run(context, offer, values, uri)


def find(context: RequestContext, uri: str) -> tuple[ResourceOffer | TaskOffer, dict[str, str]] | None:
    """The resource, or the template that expands to this URI, with its variables."""
    return find_for(context, uri, context.caller)


def find_for(
    context: RequestContext, uri: str, caller: Caller
) -> tuple[ResourceOffer | TaskOffer, dict[str, str]] | None:
    """The same for the request's caller with the rights that it has now."""
    if len(uri) > LONGEST_URI:
        return None
    catalog, selection = context.catalog, context.selection
    offer = catalog.find(RESOURCES, uri, caller, selection)
    found = catalog.matching(uri, caller, selection) if offer is None else (offer, {})
    if found is not None and isinstance(found[0], TaskOffer) and not is_id(found[1][VARIABLE]):
        return None
    return found


async def _run(
    context: RequestContext, offer: ResourceOffer, values: dict[str, str], uri: str
) -> Result | HeldRequest[Result]:
    served = offer.served
    return await run_flow(context, served, typed(served.flow, values), _renderer(context, served, uri), {"uri": uri})


def resumed(context: RequestContext, made_of: Mapping[str, Any], task_id: str) -> HeldRequest[Result]:
    """A stored resources/read whose stream goes on. Its flow may no longer be served."""
    served, uri = context.flows.table.served(made_of["name"]), made_of["uri"]
    return HeldRun(context, served, task_id, _renderer(context, served, uri), made_of={"uri": uri})


def _renderer(context: RequestContext, served: ServedFlow, uri: str) -> Render:
    exposure = served.flow.mcp
    media_type = None if exposure is None or exposure.resource is None else exposure.resource.mime_type

    async def render(task: Task) -> Result:
        text = "null" if task.result is None else task.result.strip()
        made = await rendered(context, resource_result, text, uri, media_type, task.id, context.revision.value)
        if made is None:
            raise ResourceNotFound(uri, context.revision)
        return Result(whole=made)

    return render


def definition(offer: ResourceOffer | TaskOffer, revision: Revision) -> dict[str, Any]:
    """A Resource or ResourceTemplate object."""
    if isinstance(offer, TaskOffer):
        titled = {"title": offer.title} if revision.structured else {}
        address = {"uriTemplate": offer.key, "mimeType": JSON} if not offer.whole_result else {"uriTemplate": offer.key}
        name = "task_result" if offer.whole_result else "task"
        return {**address, "name": name, **titled, "description": offer.description}
    flow, resource = offer.served.flow, offer.resource
    description = (resource.description or flow.description).strip() or f"Runs the flow {flow.name}."
    found: dict[str, Any] = {
        ("uri" if resource.uri else "uriTemplate"): offer.key,
        "name": resource.name or flow.name,
        "description": description,
    }
    if resource.mime_type:
        found["mimeType"] = resource.mime_type
    if resource.size is not None:
        found["size"] = resource.size
    if resource.annotations is not None:
        found["annotations"] = resource.annotations.model_dump(by_alias=True, exclude_none=True)
    return found | passed_on(offer.exposure, revision, resource.title)

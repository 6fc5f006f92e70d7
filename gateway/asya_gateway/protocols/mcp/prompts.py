"""prompts/list and prompts/get: flows as prompts (2026-07-28, server/prompts)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from asya_crds.mcp_offers import PromptArgument
from asya_gateway.domain.offers import PROMPTS, PromptOffer
from asya_gateway.domain.task import Task
from asya_gateway.protocols.http.holding import HeldRequest
from asya_gateway.protocols.mcp.arguments import check_arguments, prompt_arguments, texts_of, typed
from asya_gateway.protocols.mcp.listing import list_page
from asya_gateway.protocols.mcp.members import text_member
from asya_gateway.protocols.mcp.passing_on import passed_on
from asya_gateway.protocols.mcp.prompt_results import prompt_result
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.running import HeldRun, rendered, run_flow
from asya_gateway.protocols.mcp.versions import Revision


async def list_prompts(context: RequestContext) -> Result:
    """Every prompt by name. Raises NoRoom, and InvalidParams for an invalid cursor."""
    return await list_page(context, PROMPTS, "prompts", definition)


async def get_prompt(context: RequestContext) -> Result | HeldRequest[Result]:
    """Run the flow with the prompt's arguments. Raises FlowNotFound (-32602, as server/prompts requires), Denied,
    InvalidParams, and what run_flow raises."""
    name = text_member(context.params, "name")
    offer = context.catalog.to_use(PROMPTS, name, context.caller, context.selection)
    flow = offer.served.flow
    texts = texts_of(context.params)
    check_arguments(prompt_arguments(flow), texts)
    return await run_flow(context, offer.served, typed(flow, texts), partial(_rendered, context))


def resumed(context: RequestContext, made_of: Mapping[str, Any], task_id: str) -> HeldRequest[Result]:
    """A stored prompts/get whose stream goes on. Its flow may no longer be served."""
    return HeldRun(context, context.flows.table.served(made_of["name"]), task_id, partial(_rendered, context))


async def _rendered(context: RequestContext, task: Task) -> Result:
    text = "null" if task.result is None else task.result.strip()
    return Result(whole=await rendered(context, prompt_result, text, task.id, context.revision.value))


def definition(offer: PromptOffer, revision: Revision) -> dict[str, Any]:
    """A Prompt object."""
    flow, prompt = offer.served.flow, offer.prompt
    description = (prompt.description or flow.description).strip() or f"Runs the flow {flow.name}."
    found: dict[str, Any] = {"name": offer.key, "description": description}
    if arguments := prompt_arguments(flow):
        found["arguments"] = [_argument(argument, revision) for argument in arguments]
    return found | passed_on(offer.exposure, revision, prompt.title)


def _argument(argument: PromptArgument, revision: Revision) -> dict[str, Any]:
    found: dict[str, Any] = {"name": argument.name, "required": argument.required}
    if argument.description:
        found["description"] = argument.description
    if argument.title and revision.structured:
        found["title"] = argument.title
    return found

"""completion/complete: values of prompt arguments and template variables that have a known set of values
(2026-07-28, server/utilities/completion)."""

from collections.abc import Mapping
from typing import Any

from asya_gateway.domain.offers import PROMPTS, TEMPLATES, ResourceOffer, TaskOffer
from asya_gateway.domain.text import printable
from asya_gateway.protocols.mcp.arguments import prompt_arguments, template_choices
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.members import object_member, text_member
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result

MOST_VALUES = 100
"""A schema's bound (CompleteResult)."""
_SHOWN_URI = 2048


async def complete(context: RequestContext) -> Result:
    """The values that begin with what was typed, in the order of the enum. Raises InvalidParams, also for a prompt, a
    template or an argument that does not exist."""
    ref, argument = object_member(context.params, "ref"), object_member(context.params, "argument")
    name = text_member(argument, "name", "argument.name")
    typed = text_member(argument, "value", "argument.value").casefold()
    _check_context(context.params.get("context"))
    match ref.get("type"):
        case "ref/prompt":
            values = _of_prompt(context, text_member(ref, "name", "ref.name"), name)
        case "ref/resource":
            values = _of_template(context, text_member(ref, "uri", "ref.uri"), name)
        case _:
            raise InvalidParams("ref.type: expected ref/prompt or ref/resource")
    found = [value for value in values if value.casefold().startswith(typed)]
    more = len(found) > MOST_VALUES
    return Result({"completion": {"values": found[:MOST_VALUES], "total": len(found), "hasMore": more}})


def _of_prompt(context: RequestContext, prompt: str, name: str) -> list[str]:
    offer = context.catalog.find(PROMPTS, prompt, context.caller, context.selection)
    if offer is None:
        raise InvalidParams(f"ref.name: Unknown prompt: {printable(prompt)}")
    arguments = {argument.name: argument for argument in prompt_arguments(offer.served.flow)}
    if name not in arguments:
        raise InvalidParams(f"argument.name: the prompt has no argument {printable(name)}")
    return arguments[name].enum or []


def _of_template(context: RequestContext, uri: str, name: str) -> list[str]:
    offer = _template(context, uri)
    if offer is None or offer.template is None:
        raise InvalidParams(f"ref.uri: Unknown resource template: {printable(uri, _SHOWN_URI)}")
    if name not in offer.template.names:
        raise InvalidParams(f"argument.name: the template has no variable {printable(name)}")
    # The variable of a task is its id, which is told to its owner only.
    return [] if isinstance(offer, TaskOffer) else template_choices(offer.served.flow, name)


def _template(context: RequestContext, uri: str) -> ResourceOffer | TaskOffer | None:
    """The template of this text, else the one that expands to it ("A URI or URI template")."""
    found = context.catalog.find(TEMPLATES, uri, context.caller, context.selection)
    if found is not None:
        return found
    matching = context.catalog.matching(uri, context.caller, context.selection)
    return None if matching is None else matching[0]


def _check_context(given: Any) -> None:
    """Other arguments that are known already. No completion depends on them."""
    arguments = given.get("arguments", {}) if isinstance(given, Mapping) else given
    if arguments is not None and not (
        isinstance(arguments, Mapping) and all(isinstance(value, str) for value in arguments.values())
    ):
        raise InvalidParams("context.arguments: expected an object of texts")

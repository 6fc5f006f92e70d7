"""Arguments that are texts on the wire: those of prompts, and the variables of resource templates. The flow gets the
values that its inputSchema expects."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.mcp_offers import MAX_CHOICES, PromptArgument
from asya_gateway.domain.text import printable
from asya_gateway.protocols.mcp.errors import InvalidParams

MOST_ARGUMENTS = 256
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,400})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")


def prompt_arguments(flow: Flow) -> list[PromptArgument]:
    """The arguments of a flow's prompt: as written, else the properties of its inputSchema."""
    prompt = flow.mcp.prompt if flow.mcp is not None else None
    if prompt is not None and prompt.arguments is not None:
        return prompt.arguments
    properties = _properties(flow)
    required = flow.mcp.input_schema.get("required") if flow.mcp is not None else None
    needed = set(required) if isinstance(required, list) else set()
    return [
        PromptArgument.model_construct(
            name=name,
            title=_text(part.get("title")),
            description=_text(part.get("description")),
            required=name in needed,
            enum=choices(part) or None,
        )
        for name, part in properties.items()
    ]


def template_choices(flow: Flow, variable: str) -> list[str]:
    """The values of a template's variable, if its property has an enum."""
    return choices(_properties(flow).get(variable, {}))


def choices(schema: Mapping[str, Any]) -> list[str]:
    """The values of an enum, const or boolean as texts; empty if there are any number of values."""
    if "const" in schema:
        return [_as_text(schema["const"])]
    values = schema.get("enum")
    if isinstance(values, list):
        return [_as_text(value) for value in values[:MAX_CHOICES]]
    return ["true", "false"] if schema.get("type") == "boolean" else []


def texts_of(params: Mapping[str, Any]) -> dict[str, str]:
    """The member `arguments`: an object of texts. Raises InvalidParams."""
    given = params.get("arguments")
    if given is None:
        return {}
    if not isinstance(given, Mapping) or len(given) > MOST_ARGUMENTS:
        raise InvalidParams(f"arguments: expected an object of at most {MOST_ARGUMENTS} texts")
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidParams(f"arguments.{printable(name)}: expected a string")
    return dict(given)


def check_arguments(declared: Sequence[PromptArgument], texts: Mapping[str, str]) -> None:
    """Raises InvalidParams for a missing argument (server/prompts, "Error Handling"), and for one that is no choice."""
    for argument in declared:
        value = texts.get(argument.name)
        if value is None:
            if argument.required:
                raise InvalidParams(f"arguments.{argument.name}: required argument is missing")
        elif argument.enum is not None and value not in argument.enum:
            known = ", ".join(argument.enum[:20])
            raise InvalidParams(f"arguments.{argument.name}: expected one of {printable(known, 500)}")


def typed(flow: Flow, texts: Mapping[str, str]) -> dict[str, Any]:
    """The flow's arguments: a text becomes the number or boolean that its property expects. What is none stays as it
    is, and the check against the inputSchema says what was expected."""
    properties = _properties(flow)
    return {name: _typed(properties.get(name, {}), text) for name, text in texts.items()}


def _typed(schema: Mapping[str, Any], text: str) -> Any:
    written = schema.get("type")
    types = set(written) if isinstance(written, list) else {written}
    if "string" in types:
        return text
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    if ("integer" in types and _INTEGER.fullmatch(text)) or ("number" in types and _NUMBER.fullmatch(text)):
        # One that no double can hold is no number for a handler either.
        with suppress(jsontext.InvalidJSON):
            return jsontext.loads(text)
    listed = schema.get("enum")
    values = listed if isinstance(listed, list) else []
    return next((value for value in values if not isinstance(value, str) and _as_text(value) == text), text)


def _properties(flow: Flow) -> dict[str, Mapping[str, Any]]:
    properties = flow.mcp.input_schema.get("properties") if flow.mcp is not None else None
    if not isinstance(properties, Mapping):
        return {}
    return {name: part if isinstance(part, Mapping) else {} for name, part in properties.items()}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.dumps(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

"""The inputs that an actor asks for in one pause, each under a key of its own (docs/protocols/mesh.md)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from asya_crds.answers import InputMethod
from asya_crds.links import LONGEST_LINK, check_link
from asya_crds.message import InvalidMessage, WireMessage, read
from asya_crds.message_fields import LARGEST_INTEGER, Object, Text, integer

MAX_INPUTS = 16
"""Most inputs of one pause."""
LONGEST_KEY = 64
KEY_PATTERN = f"^[A-Za-z0-9_.:-]{{1,{LONGEST_KEY}}}$"
"""No slash, because a key is also a step of the path in the payload where its answer goes."""

_KEY = re.compile(KEY_PATTERN)


def _key(value: Any) -> str:
    if isinstance(value, str) and _KEY.fullmatch(value):
        return value
    raise ValueError(f"expected keys of 1 to {LONGEST_KEY} letters, digits or _ . : -")


def _method(value: Any) -> InputMethod:
    if isinstance(value, str) and value in tuple(InputMethod):
        return InputMethod(value)
    raise ValueError(f"expected one of {', '.join(InputMethod)}")


def _inputs(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("expected an object {key: {method, params}}")  # as below, a mistake of the value
    if not 1 <= len(value) <= MAX_INPUTS:
        raise ValueError(f"expected 1 to {MAX_INPUTS} inputs")
    for key in value:
        _key(key)  # here, so that the mistake is one of `inputs`
    return value


def _list_of_objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return value
    raise ValueError("expected a list of messages {role, content}")


def _content(value: Any) -> Any:
    blocks = value if isinstance(value, list) else [value]
    if all(isinstance(block, dict) and isinstance(block.get("type"), str) for block in blocks):
        return value
    raise ValueError("expected a content block {type, …}, or a list of them")


def _flat_object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and value.get("type") == "object" and isinstance(value.get("properties"), dict):
        return value
    raise ValueError("expected a JSON Schema of type object with properties")


_METHOD_SCHEMA = {"enum": [method.value for method in InputMethod]}
LINK_SCHEMA = {
    "type": "string",
    "format": "uri",
    "maxLength": LONGEST_LINK,
    "description": "Absolute: https, or http on a loopback address.",
}

Link = Annotated[str, PlainValidator(check_link), WithJsonSchema(LINK_SCHEMA)]
Method = Annotated[InputMethod, PlainValidator(_method), WithJsonSchema(_METHOD_SCHEMA)]
Key = Annotated[str, PlainValidator(_key), WithJsonSchema({"type": "string", "pattern": KEY_PATTERN})]


class InputMessage(WireMessage):
    """One input: `params` are those of the method in MCP. The answer goes to `payload_key`, a path in the payload, by
    default /<key>."""

    method: Method
    params: Object = Field(default_factory=dict)
    payload_key: Text | None = None


_INPUTS_SCHEMA = {"minProperties": 1, "maxProperties": MAX_INPUTS}
Inputs = Annotated[dict[Key, InputMessage] | None, BeforeValidator(_inputs), Field(json_schema_extra=_INPUTS_SCHEMA)]


class FormParams(WireMessage):
    """elicitation/create with a form (schema ElicitRequestFormParams)."""

    mode: Literal["form"] = "form"
    message: Text
    requested: Annotated[dict[str, Any], PlainValidator(_flat_object)] = Field(alias="requestedSchema")


class UrlParams(WireMessage):
    """elicitation/create at a URL (schema ElicitRequestURLParams)."""

    mode: Literal["url"]
    message: Text
    url: Link


class SamplingMessageParams(WireMessage):
    """One message of a sampling request. Content may be a list since 2025-11-25."""

    role: Literal["user", "assistant"]
    content: Annotated[Any, PlainValidator(_content)]


class SamplingParams(WireMessage):
    """sampling/createMessage (schema CreateMessageRequestParams)."""

    messages: Annotated[list[SamplingMessageParams], BeforeValidator(_list_of_objects)]
    max_tokens: Annotated[int, PlainValidator(integer(1, LARGEST_INTEGER))] = Field(alias="maxTokens")


def is_url(params: Mapping[str, Any]) -> bool:
    """Whether an elicitation asks at a URL; without a mode it asks by a form."""
    return params.get("mode") == "url"


def check_params(method: InputMethod, params: Mapping[str, Any]) -> None:
    """Check the parameters of an input; what is not checked is passed on. Raises InvalidMessage with the field."""
    match method:
        case InputMethod.ELICITATION:
            if params.get("mode", "form") not in ("form", "url"):
                raise InvalidMessage("expected form or url", "mode")
            read(UrlParams if is_url(params) else FormParams, params)
        case InputMethod.SAMPLING:
            read(SamplingParams, params)
        case _:
            pass

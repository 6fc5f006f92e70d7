"""Methods for features without content: prompts, resources and completions.

A tools-only server declares prompts and resources but lists none, because clients and the conformance suite request
these lists anyway.
"""

from collections.abc import Mapping
from typing import Any

from asya_gateway.protocols.http.jsonrpc import INVALID_PARAMS, RpcError
from asya_gateway.protocols.mcp.errors import RESOURCE_NOT_FOUND_BEFORE_2026, InvalidParams, shown
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tools import read_cursor

LONGEST_URI = 2048


async def list_prompts(context: RequestContext) -> Result:
    """No prompts."""
    read_cursor(context.params)
    return Result({"prompts": []}, cacheable=True)


async def get_prompt(context: RequestContext) -> Result:
    """Raises InvalidParams, which the specification requires for an unknown prompt (server/prompts)."""
    raise InvalidParams(f"Unknown prompt: {shown(_text(context.params, 'name'))}")


async def list_resources(context: RequestContext) -> Result:
    """No resources."""
    read_cursor(context.params)
    return Result({"resources": []}, cacheable=True)


async def list_resource_templates(context: RequestContext) -> Result:
    """No resource templates."""
    read_cursor(context.params)
    return Result({"resourceTemplates": []}, cacheable=True)


async def read_resource(context: RequestContext) -> Result:
    """Raises RpcError with data.uri: -32602 (SEP-2164), before 2026-07-28 -32002."""
    uri = _text(context.params, "uri")
    code = INVALID_PARAMS if context.revision.stateless else RESOURCE_NOT_FOUND_BEFORE_2026
    raise RpcError(code, "Resource not found", {"uri": shown(uri, LONGEST_URI)})


async def complete(context: RequestContext) -> Result:
    """No suggestions for any argument of any prompt or resource template. Raises InvalidParams."""
    ref, argument = _object(context.params, "ref"), _object(context.params, "argument")
    match ref.get("type"):
        case "ref/prompt":
            _text(ref, "name", "ref.name")
        case "ref/resource":
            _text(ref, "uri", "ref.uri")
        case _:
            raise InvalidParams("ref.type: expected ref/prompt or ref/resource")
    _text(argument, "name", "argument.name")
    _text(argument, "value", "argument.value")
    return Result({"completion": {"values": [], "total": 0, "hasMore": False}})


def _text(values: Mapping[str, Any], key: str, where: str | None = None) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise InvalidParams(f"{where or key}: expected a string")
    return value


def _object(params: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = params.get(key)
    if not isinstance(value, Mapping):
        raise InvalidParams(f"{key}: expected an object")
    return value

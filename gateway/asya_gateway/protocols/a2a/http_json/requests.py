"""Requests of the HTTP+JSON binding as the params of an operation: body, query and path (section 11.5)."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from aiohttp import web

from asya_gateway.domain.errors import InvalidInput
from asya_gateway.protocols.a2a.errors import PARSE_ERROR, A2aError, InvalidParams
from asya_gateway.protocols.a2a.media_types import check_media_type
from asya_gateway.protocols.http.bodies import decode_body, read_bytes
from asya_gateway.protocols.http.keys import SETTINGS

NUMBERS = frozenset({"historyLength", "pageSize"})
FLAGS = frozenset({"includeArtifacts"})
LONGEST_NUMBER = 11
"""Characters of a 32-bit integer with its sign."""


class Body(Enum):
    """Whether a route reads a body."""

    NONE = auto()
    OPTIONAL = auto()
    REQUIRED = auto()


async def read_params(http: web.Request, body: Body, query: tuple[str, ...], ids: Mapping[str, str]) -> dict[str, Any]:
    """The params. `query` are the parameters that the route knows; others are ignored, as unknown fields are (section
    5.7). `ids` are the names of params in the path, by the names of its segments; the path wins over the body. Raises
    A2aError and what reading a body raises."""
    params = {} if body is Body.NONE else await _read_body(http, body)
    for name in query:
        params |= _parameter(http, name)
    return params | {name: http.match_info[segment] for segment, name in ids.items()}


async def _read_body(http: web.Request, body: Body) -> dict[str, Any]:
    if body is Body.OPTIONAL and not http.body_exists:
        # Some clients name a type, whatever they send.
        return {}
    check_media_type(http)
    data = await read_bytes(http, http.app[SETTINGS].max_call_bytes)
    if body is Body.OPTIONAL and not data.strip():
        return {}
    try:
        value = await decode_body(http, data)
    except InvalidInput as error:
        raise A2aError(PARSE_ERROR, f"Parse error: {error.message}") from None
    if not isinstance(value, dict):
        raise InvalidParams("body", "expected an object")
    return value


def _parameter(http: web.Request, name: str) -> dict[str, Any]:
    """A query parameter as a param. Its name may be in snake_case, as in ProtoJSON."""
    names = dict.fromkeys((name, _snake(name)))
    values = [value for each in names for value in http.query.getall(each, [])]
    if not values:
        return {}
    if len(values) > 1:
        raise InvalidParams(name, "expected the parameter once")
    return {name: _value(name, values[0])}


def _value(name: str, text: str) -> Any:
    """The JSON value that a text stands for. What is no number stays a text, which the dialect refuses by its name."""
    if name in NUMBERS and len(text) <= LONGEST_NUMBER and text.removeprefix("-").isascii():
        return int(text) if text.removeprefix("-").isdigit() else text
    return {"true": True, "false": False}.get(text, text) if name in FLAGS else text


def _snake(name: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name)

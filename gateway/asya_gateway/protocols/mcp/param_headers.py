"""Arguments that are also sent as headers: `x-mcp-header` in a tool's inputSchema, `Mcp-Param-…` on the call.

Streamable HTTP (2026-07-28), "Custom Headers from Tool Parameters".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asya_gateway.protocols.mcp.errors import HeaderMismatch
from asya_gateway.protocols.mcp.routing import Headers, decoded, single

ANNOTATION = "x-mcp-header"
PREFIX = "Mcp-Param-"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_DECIMAL = re.compile(r"(-?[0-9]{1,400})(?:\.0+)?")
_TYPES = ("string", "integer", "boolean")
LARGEST_INTEGER = 2**53 - 1
"""server/tools: "Integer values MUST be within the safe range for integers represented using IEEE754 double-precision
floating point numbers", since others are rounded by some who read them."""


@dataclass(frozen=True, slots=True)
class ParamHeader:
    """One annotated property: its path in the arguments, and its header."""

    path: tuple[str, ...]
    header: str
    type: str


def param_headers(schema: Mapping[str, Any]) -> list[ParamHeader]:
    """The annotated properties of an inputSchema that follow the rules: of type string, integer or boolean, reached
    through `properties` only, named by a token (RFC 9110), each name once.

    A tool that breaks a rule has no parameter headers at all. Clients must not use such a tool, and one that does
    cannot know which headers to send.
    """
    found = list(_annotated(schema, ()))
    valid = [each for each in found if each.type in _TYPES and _TOKEN.fullmatch(each.header.removeprefix(PREFIX))]
    unique = {each.header.lower() for each in valid}
    return valid if len(unique) == len(found) else []


def _annotated(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[ParamHeader]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return
    for name, part in properties.items():
        if not isinstance(part, Mapping):
            continue
        where = (*path, str(name))
        if ANNOTATION in part:
            annotation = part[ANNOTATION]
            header = PREFIX + (annotation if isinstance(annotation, str) else "")
            yield ParamHeader(where, header, str(part.get("type")))
        yield from _annotated(part, where)


def check_param_headers(expected: Iterable[ParamHeader], arguments: Mapping[str, Any], headers: Headers) -> None:
    """Check that each annotated argument and its header are equal, or both absent (null counts as absent), and that
    integers have a size that everybody reads alike. Raises HeaderMismatch."""
    for each in expected:
        raw = single(headers, each.header)
        value = _value_at(arguments, each.path)
        where = ".".join(each.path)
        if value is None or isinstance(value, dict | list):
            if raw is not None:
                raise HeaderMismatch(f"{each.header}: the header has no counterpart in the argument {where}")
            continue
        if raw is None:
            raise HeaderMismatch(f"{each.header}: the header is missing beside the argument {where}")
        if each.type == "integer" and not isinstance(value, str) and abs(value) > LARGEST_INTEGER:
            raise HeaderMismatch(f"{each.header}: expected an integer of at most 2^53 - 1 in the argument {where}")
        if not _agree(each.type, value, decoded(raw, each.header)):
            raise HeaderMismatch(f"{each.header}: the header does not match the argument {where}")


def _value_at(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = arguments
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _agree(type: str, value: Any, text: str) -> bool:
    """Integers are compared as numbers, because 42 and 42.0 are the same JSON number; everything else as text."""
    match value:
        case bool():
            return text == ("true" if value else "false")
        case int() | float() if type == "integer" and value == int(value):
            number = _DECIMAL.fullmatch(text)
            return number is not None and int(number[1]) == int(value)
        case _:
            return text == str(value)

"""Routing headers of the stateless revision: their format, and that they match the body.

Streamable HTTP (2026-07-28), "Request Metadata" and "Server Validation": proxies route by these headers, so a header
that differs from the body could bypass their rules.
"""

import base64
import re

from multidict import CIMultiDictProxy

from asya_gateway.protocols.http.jsonrpc import Request
from asya_gateway.protocols.mcp.errors import HeaderMismatch

VERSION_HEADER = "MCP-Protocol-Version"
METHOD_HEADER = "Mcp-Method"
NAME_HEADER = "Mcp-Name"

NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""Methods with the header Mcp-Name, and the parameter that it repeats."""
LENIENT = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})
"""Methods of an extension, whose clients must send the header (ext-tasks, "Routing Headers") while nothing says what a
server does without it. fastmcp-tasks does not send it."""

_SENTINEL = re.compile(r"=\?base64\?(.*)\?=")
_SAFE = re.compile(r"[\t\x20-\x7e]*")

Headers = CIMultiDictProxy[str]


def single(headers: Headers, name: str) -> str | None:
    """A header's value, None if it is absent. Raises HeaderMismatch if it occurs more than once, because two readers
    could use different ones."""
    values = headers.getall(name, None)
    if values is None:
        return None
    if len(values) > 1:
        raise HeaderMismatch(f"{name}: expected the header once")
    return values[0].strip(" \t")


def decoded(value: str, name: str) -> str:
    """A header's value with the sentinel `=?base64?…?=` decoded ("Value Encoding"). A value without both ends of the
    sentinel is literal. Raises HeaderMismatch for characters that a header must not contain, and for invalid base64 or
    UTF-8."""
    if not _SAFE.fullmatch(value):
        raise HeaderMismatch(f"{name}: expected visible ASCII, or the sentinel with base64")
    match = _SENTINEL.fullmatch(value)
    if match is None:
        return value
    try:
        data = base64.b64decode(match[1], validate=True)
        # Some values have several base64 forms. Only the canonical one is accepted, so that all readers compare the
        # same.
        if base64.b64encode(data).decode() != match[1]:
            raise ValueError
        return data.decode("utf-8")
    except ValueError:
        raise HeaderMismatch(f"{name}: expected canonical base64 of UTF-8 in the sentinel") from None


def check_version(headers: Headers, declared: str) -> None:
    """MCP-Protocol-Version must match `_meta`. Raises HeaderMismatch."""
    _check(VERSION_HEADER, single(headers, VERSION_HEADER), declared, "the protocol version in _meta")


def check_method(headers: Headers, method: str) -> None:
    """Mcp-Method must match the body. Raises HeaderMismatch."""
    _check(METHOD_HEADER, single(headers, METHOD_HEADER), method, "the body's method")


def check_name(headers: Headers, request: Request) -> None:
    """Mcp-Name must match the body's name, uri or taskId. Raises HeaderMismatch.

    A name that is absent or not a string is left to the method, which has the better error.
    """
    key = NAMED_BY.get(request.method)
    name = request.params.get(key) if key else None
    if isinstance(name, str):
        value = single(headers, NAME_HEADER)
        if value is None and request.method in LENIENT:
            return
        _check(NAME_HEADER, None if value is None else decoded(value, NAME_HEADER), name, f"the body's {key}")


def _check(name: str, value: str | None, expected: str, what: str) -> None:
    if value is None:
        raise HeaderMismatch(f"{name}: the header is missing")
    if value != expected:
        raise HeaderMismatch(f"{name}: the header does not match {what}")

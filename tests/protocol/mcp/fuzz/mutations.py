"""Mutations of a request: of its JSON, its headers, its bytes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.protocol.mcp.fuzz.conversations import REVISIONS, Sent

ODD_TEXTS = [
    "", " ", "\0", "\ud800", "é", "null", "__proto__", "../..", "x" * 300, "x" * 5000, "a\nb", "%00", "2026-07-28",
    "2025-11-25", "1999-01-01", "DRAFT", "tools/call", "Mozilla", "=?base64?eA==?=", "=?base64?eA?=", "=?base64?\xff?=",
    "asya://tasks/%00", "asya://tasks/%00/result", "crm://eu/customers/1e999",
]  # fmt: skip
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, -0.0, 2**53, 2**63, -(2**63) - 1, 10**400, [], {}, [[]], [None], {"": ""},
    [1] * 2000, {str(n): n for n in range(200)}, *ODD_TEXTS,
]  # fmt: skip
NAMES = [
    "id", "method", "params", "jsonrpc", "_meta", "result", "error", "name", "uri", "arguments", "cursor",
    "inputResponses", "requestState", "task", "taskId", "progressToken", "input", "notifications", "toolsListChanged",
    "ref", "argument",
    "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel", "io.modelcontextprotocol/clientInfo", "sh.asya/idempotencyKey", "traceparent",
]  # fmt: skip
HEADERS = [
    "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-Region", "Mcp-Session-Id", "Last-Event-ID", "Accept",
    "Content-Type", "Idempotency-Key", "traceparent", "Content-Encoding", "Prefer",
]  # fmt: skip

DEEPEST_PLACE = 12

plain = st.one_of(
    st.sampled_from(ODD_VALUES), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
queries = st.sampled_from(
    ["", "?session_id=", "?session_id=x", "?session_id=%00", "?session_id=<sse>&session_id=<sse>"]
)
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=10))
header_texts = st.one_of(
    st.sampled_from([text for text in ODD_TEXTS if text.isprintable() and len(text) < 1000 and text.isascii()]),
    st.sampled_from([*REVISIONS, "application/json", "text/event-stream", "text/html", "*/*;q=0", "gzip", "0", "1-2"]),
    st.sampled_from(
        ["get-0-0", "get-9999999999999999999-1", "0" * 32 + "-0-0-0", "0" * 32 + "-1-1-" + "9" * 19, "x" * 64]
    ),
    st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40),
    st.text(alphabet=st.characters(min_codepoint=0xA0, max_codepoint=0xFF), min_size=1, max_size=10),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places in a JSON value, its root included, but for what is nested very deeply."""
    yield path
    if len(path) == DEEPEST_PLACE:
        return
    if isinstance(value, dict):
        for key, child in value.items():
            yield from places(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value[:20]):
            yield from places(child, (*path, index))


def changed(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    """The value with `change` applied at a place; what it returns stands there, `...` removes it."""
    if not path:
        return change(value)
    step, *rest = path
    copy = list(value) if isinstance(value, list) else dict(value)
    inner = changed(copy[step], tuple(rest), change)
    if inner is ...:
        del copy[step]
    else:
        copy[step] = inner
    return copy


@st.composite
def json_mutation(draw: st.DrawFn, sent: Sent) -> Sent:
    """Replace, remove, wrap or add something somewhere in the body."""
    path = draw(st.sampled_from(list(places(sent.body))))
    match draw(st.sampled_from(["replace", "replace", "remove", "wrap", "add", "nest"])):
        case "remove" if path:
            return replace(sent, body=changed(sent.body, path, lambda _: ...))
        case "wrap":
            return replace(sent, body=changed(sent.body, path, lambda old: [old]))
        case "nest":
            depth = draw(st.sampled_from([3, 60, 99, 101, 150]))
            return replace(sent, body=changed(sent.body, path, lambda old: nested(old, depth)))
        case "add":
            name = draw(names)
            value = draw(values)
            return replace(sent, body=changed(sent.body, path, lambda old: with_member(old, name, value)))
        case _:
            value = draw(values)
            return replace(sent, body=changed(sent.body, path, lambda _: value))


def nested(value: Any, depth: int) -> Any:
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def with_member(old: Any, name: str, value: Any) -> Any:
    if isinstance(old, dict):
        return {**old, name: value}
    return [*old, value] if isinstance(old, list) else {name: value}


@st.composite
def header_mutation(draw: st.DrawFn, sent: Sent) -> Sent:
    """Remove, change, double or add a header."""
    match draw(st.sampled_from(["remove", "change", "double", "add"])):
        case "remove" if sent.headers:
            index = draw(st.integers(0, len(sent.headers) - 1))
            return replace(sent, headers=sent.headers[:index] + sent.headers[index + 1 :])
        case "change" if sent.headers:
            index = draw(st.integers(0, len(sent.headers) - 1))
            entry = (sent.headers[index][0], draw(header_texts))
            return replace(sent, headers=(*sent.headers[:index], entry, *sent.headers[index + 1 :]))
        case "double" if sent.headers:
            name, value = draw(st.sampled_from(sent.headers))
            again = value if draw(st.booleans()) else draw(header_texts)
            return replace(sent, headers=(*sent.headers, (name, again)))
        case _:
            return replace(sent, headers=(*sent.headers, (draw(st.sampled_from(HEADERS)), draw(header_texts))))


@st.composite
def byte_mutation(draw: st.DrawFn, sent: Sent) -> Sent:
    """Change the bytes of the body themselves."""
    raw = encoded(sent)
    match draw(st.sampled_from(["cut", "insert", "swap", "bom", "double", "deep", "empty", "wide"])):
        case "cut":
            return replace(sent, raw=raw[: draw(st.integers(0, len(raw)))])
        case "insert":
            place = draw(st.integers(0, len(raw)))
            return replace(sent, raw=raw[:place] + draw(st.binary(min_size=1, max_size=4)) + raw[place:])
        case "swap" if raw:
            place = draw(st.integers(0, len(raw) - 1))
            return replace(sent, raw=raw[:place] + draw(st.binary(min_size=1, max_size=1)) + raw[place + 1 :])
        case "bom":
            return replace(sent, raw=b"\xef\xbb\xbf" + raw)
        case "double":
            return replace(sent, raw=raw + raw)
        case "deep":
            depth = draw(st.sampled_from([101, 5000, 200_000]))
            return replace(sent, raw=b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * depth)
        case "wide":
            count = draw(st.sampled_from([1000, 50_000]))
            return replace(
                sent, raw=b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[' + b"0," * count + b"0]}}"
            )
        case _:
            return replace(sent, raw=b"")


def encoded(sent: Sent) -> bytes:
    """The bytes of the body. Lone surrogates and large integers are written as JSON can carry them."""
    return json.dumps(sent.body).encode() if sent.raw is None else sent.raw


@st.composite
def mutated(draw: st.DrawFn, valid: list[Sent]) -> Sent:
    """A valid request with one to three mutations."""
    sent = draw(st.sampled_from(valid))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        is_json = draw(st.sampled_from([True, True, False]))
        sent = draw(json_mutation(sent)) if is_json else draw(header_mutation(sent))
    match draw(st.integers(0, 9)):
        case 0:
            return draw(byte_mutation(sent))
        case 2 if sent.path != "/mcp":
            return replace(sent, path="/mcp/messages" + draw(queries))
        case 1:
            return replace(sent, verb=draw(st.sampled_from(["GET", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH"])))
        case _:
            return sent

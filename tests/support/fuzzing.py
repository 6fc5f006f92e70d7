"""Mutations of requests, whatever their protocol, and how many of them a fuzzed test tries.

With FUZZ_EXAMPLES in the environment a test tries so many, and others each time; otherwise always the same few.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Test = TypeVar("Test", bound=Callable[..., Any])

Headers = tuple[tuple[str, str], ...]
"""In their order; a header may occur twice."""


@dataclass(frozen=True)
class Sent:
    """An HTTP request to the endpoint. `body` is a JSON value, or bytes that are sent as they are."""

    headers: Headers
    body: Any
    verb: str = "POST"
    raw: bytes | None = field(default=None)
    path: str = "/mcp"

    def header(self, name: str) -> str | None:
        """The value of a header that occurs once."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None

    def all(self, name: str) -> list[str]:
        return [value.strip(" \t") for key, value in self.headers if key.lower() == name.lower()]


ODD_TEXTS = [
    "", " ", "\0", "\ud800", "é", "null", "__proto__", "../..", "x" * 300, "x" * 5000, "a\nb", "%00", "2026-07-28",
    "2025-11-25", "1999-01-01", "DRAFT", "tools/call", "Mozilla", "=?base64?eA==?=", "=?base64?eA?=", "=?base64?\xff?=",
    "asya://tasks/%00", "asya://tasks/%00/result", "crm://eu/customers/1e999",
]  # fmt: skip
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, -0.0, 2**53, 2**63, -(2**63) - 1, 10**400, [], {}, [[]], [None], {"": ""},
    [1] * 2000, {str(n): n for n in range(200)}, *ODD_TEXTS,
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
def json_mutation(draw: st.DrawFn, sent: Sent, names: st.SearchStrategy[str]) -> Sent:
    """Replace, remove, wrap or add something somewhere in the body; `names` are those of what is added."""
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


def fuzzed_with(examples: int) -> Callable[[Test], Test]:
    """For a test that is given mutated requests, so many unless the environment says how many."""
    tried = int(os.environ.get("FUZZ_EXAMPLES", examples))
    bounded = pytest.mark.timeout(60 + tried // 2)
    trying = settings(
        max_examples=tried,
        derandomize="FUZZ_EXAMPLES" not in os.environ,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )

    def decorate(test: Test) -> Test:
        made: Test = bounded(trying(test))
        return made

    return decorate

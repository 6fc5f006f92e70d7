"""One deeply nested object does not affect the others."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds.flow_resource import flow_from_resource
from asya_crds.flows_file import InvalidFlow
from asya_crds.older_shapes import InvalidActor, actor_from_resource
from asya_operator.domain.nesting import MAX_LEVELS, cut, loads
from asya_operator.handlers.session import Lines

DEEPEST = 9_990
"""Levels; the API server takes 10,000."""


def deep(levels: int) -> bytes:
    """Objects and lists in turn, so many levels."""
    return b'{"a":[' * (levels // 2) + b"1" + b"]}" * (levels // 2)


def test_of_a_list_with_one_deep_object_every_other_is_read_as_it_is() -> None:
    good = {"metadata": {"name": "good"}, "spec": {"pattern": '^[{"\\]', "lists": [[], {}, [1, {"x": None}]]}}
    text = json.dumps({"items": [good, "DEEP", good]}).encode().replace(b'"DEEP"', deep(DEEPEST))
    before, cut_one, after = loads(text)["items"]
    assert before == after == good
    assert isinstance(cut_one, dict)
    assert json.dumps(cut_one).count("{") + json.dumps(cut_one).count("[") == MAX_LEVELS - 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}",\\ aä'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\}a'), inner, max_size=3),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_a_shallow_document_is_read_unchanged_whatever_its_strings_contain(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert cut(text) == text
    assert loads(text) == value


@given(JSON, st.integers(min_value=0, max_value=400))
def test_the_neighbour_of_a_deeply_nested_value_is_read(value: Any, levels: int) -> None:
    text = b"[" + deep(levels) + b"," + json.dumps(value).encode() + b"]"
    assert loads(text)[1] == value


def test_what_is_left_of_a_deep_flow_and_of_a_deep_actor_is_judged_too_deep() -> None:
    metadata = {"name": "deep", "uid": "u"}
    annotations = {"hint": loads(deep(DEEPEST))}
    with pytest.raises(InvalidFlow, match="annotations"):
        flow_from_resource({"metadata": metadata, "spec": {"entrypoint": "a", "mcp": {"annotations": annotations}}})
    spec = {"actor": "deep", "image": "i", "handler": "a.b", "resources": loads(deep(DEEPEST))}
    with pytest.raises(InvalidActor, match="spec: nested deeper than 100 levels"):
        actor_from_resource({"metadata": metadata, "spec": spec})


class Stream:
    """A watch's answer that comes in pieces of some size."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(self._text), size):
            yield self._text[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_a_watch_is_cut_line_by_line_however_it_arrives(size: int) -> None:
    lines = [b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}', deep(2000), b'{"type":"DELETED"}']

    async def read() -> bytes:
        stream: Any = Stream(b"\n".join(lines) + b"\n" + b'{"broken')
        return b"".join([chunk async for chunk in Lines(stream).iter_chunked(size)])

    first, second, third, rest = asyncio.run(read()).split(b"\n")
    assert (first, third, rest) == (lines[0], lines[2], b'{"broken')
    assert second.count(b"{") + second.count(b"[") == MAX_LEVELS

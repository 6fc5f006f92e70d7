"""What flows write into content: members that clients take, and those for which they would drop a whole result."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.mcp_offers import ResourceAnnotations, is_moment
from asya_gateway.protocols.mcp.content import is_block, tool_result
from asya_gateway.protocols.mcp.content_members import cleaned, is_base64
from asya_gateway.protocols.mcp.prompt_results import prompt_result
from asya_gateway.protocols.mcp.resource_results import resource_result
from asya_gateway.protocols.mcp.versions import Revision
from tests.support.mcp import conforms

NEWEST = Revision.JULY_2026
IMAGE = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
LINK = {"type": "resource_link", "uri": "a://b", "name": "b"}
EMBEDDED = {"type": "resource", "resource": {"uri": "a://b", "blob": "aGk="}}


@given(data=st.binary(), padded=st.booleans(), every=st.integers(1, 80))
def test_encoded_bytes_are_base64_with_and_without_padding_and_line_breaks(
    data: bytes, padded: bool, every: int
) -> None:
    text = base64.b64encode(data).decode()
    text = text if padded else text.rstrip("=")
    assert is_base64("\n".join(text[at : at + every] for at in range(0, len(text), every)))


@pytest.mark.parametrize(
    "text", ["a", "aGk-", "aGk_", "aGk==", "a=Gk", "=", "====", "aGkä", "data:image/png;base64,aGk="]
)
def test_other_texts_are_not(text: str) -> None:
    assert not is_base64(text)


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05Z", "2026-01-02T03:04Z", "2026-01-02T03:04:05.678+02:00"])
def test_a_moment_has_a_time_zone(text: str) -> None:
    assert is_moment(text)
    assert not is_moment(text.rstrip("Z").partition("+")[0])


@pytest.mark.parametrize("value", ["yesterday", "2026-01-02", "2026-13-02T03:04:05Z", "2026-01-02 03:04:05Z", ""])
def test_other_texts_are_no_moment_and_no_flow_may_have_them(value: str) -> None:
    assert not is_moment(value)
    with pytest.raises(ValueError, match="expected a moment"):
        ResourceAnnotations.model_validate({"lastModified": value})


@pytest.mark.parametrize(
    "more",
    [
        {"annotations": {"audience": ["user", "assistant"], "priority": 1, "lastModified": "2026-01-02T03:04:05Z"}},
        {"annotations": {}},
        {"_meta": {"a": 1}},
    ],
)
@pytest.mark.parametrize("block", [IMAGE, LINK, EMBEDDED, {"type": "text", "text": ""}])
def test_optional_members_of_their_types_are_passed_on(block: dict[str, Any], more: dict[str, Any]) -> None:
    assert is_block(block | more, NEWEST)


@pytest.mark.parametrize(
    "block",
    [
        IMAGE | {"data": "not base64!"},
        IMAGE | {"data": None},
        IMAGE | {"mimeType": 7},
        LINK | {"uri": 7},
        LINK | {"uri": "report.pdf"},
        LINK | {"uri": "docs://a b"},
        {"type": "resource", "resource": {"uri": "/a/b", "text": "t"}},
        {"type": "resource", "resource": {"uri": "a://b", "blob": "%"}},
        {"type": "resource", "resource": {"uri": "a://b", "text": None}},
    ],
)
def test_a_block_without_what_it_must_have_is_none(block: dict[str, Any]) -> None:
    """The result is plain data then, which every client reads."""
    assert tool_result(jsontext.dumps({"content": [block]}), NEWEST) is None


@pytest.mark.parametrize(
    ("whole", "more"),
    [
        (IMAGE, {"annotations": []}),
        (IMAGE, {"_meta": 7}),
        (LINK, {"title": 7}),
        (LINK, {"size": "7"}),
        (LINK, {"size": 1.5}),
        (LINK, {"icons": {}}),
        (LINK, {"icons": [{"mimeType": "image/png"}]}),
        (LINK, {"icons": [{"src": "b.png"}]}),
        (LINK, {"icons": [{"src": "https://a/b.png", "sizes": "48x48"}]}),
        (LINK, {"icons": [{"src": "https://a/b.png", "theme": "blue"}]}),
        (LINK, {"mimeType": []}),
    ],
)
def test_a_hint_of_another_type_is_left_out(whole: dict[str, Any], more: dict[str, Any]) -> None:
    assert not is_block(whole | more, NEWEST)
    assert tool_result(jsontext.dumps({"content": [whole | more]}), NEWEST) == {"content": [whole], "isError": False}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audience", ["model"]),
        ("audience", "user"),
        ("priority", 2),
        ("priority", True),
        ("priority", None),
        ("lastModified", "yesterday"),
    ],
)
def test_one_wrong_annotation_costs_no_other(name: str, value: Any) -> None:
    good = {"audience": ["user"], "priority": 0.5, "lastModified": "2026-01-02T03:04:05Z"}
    found = tool_result(jsontext.dumps({"content": [IMAGE | {"annotations": good | {name: value}}]}), NEWEST)
    assert found is not None
    assert found["content"][0]["annotations"] == {key: item for key, item in good.items() if key != name}


def test_optional_members_that_are_null_are_left_out() -> None:
    """What `model_dump` of the Python SDK makes of a block."""
    absent = dict.fromkeys(("annotations", "_meta"))
    blocks = [LINK | absent | dict.fromkeys(("title", "size", "icons")), EMBEDDED | absent]
    blocks[1] = blocks[1] | {"resource": EMBEDDED["resource"] | dict.fromkeys(("mimeType", "_meta"))}  # type: ignore[operator]
    text = jsontext.dumps({"content": blocks, "_meta": None})
    assert tool_result(text, NEWEST) == {"content": [LINK, EMBEDDED], "isError": False}
    message = {"role": "user", "content": blocks[0]}
    found = jsontext.loads(prompt_result(jsontext.dumps({"messages": [message]}), "t", NEWEST.value))
    assert found["messages"] == [{"role": "user", "content": LINK}]
    contents = {"contents": [{"uri": "a://b", "text": "t", "mimeType": None, "_meta": None}]}
    read = jsontext.loads(resource_result(jsontext.dumps(contents), "a://b", None, "t", NEWEST.value) or "")
    assert read["contents"] == [{"uri": "a://b", "text": "t", "mimeType": "text/plain"}]
    # A null that is required, or means something, stays.
    assert cleaned({"text": None, "structuredContent": None}) == {"text": None, "structuredContent": None}


@pytest.mark.parametrize("uri", ["report.pdf", "docs://a b", "docs://100%", "", 7, None])
@pytest.mark.parametrize(
    "shape",
    [
        lambda content: content,
        lambda content: {"contents": [content]},
        lambda content: {"content": [{"type": "resource", "resource": content}]},
    ],
    ids=["alone", "contents", "block"],
)
def test_contents_have_the_uri_that_was_asked_for_in_place_of_one_that_is_none(shape: Any, uri: Any) -> None:
    """schema ResourceContents: `uri` has the format of a URI, and strict clients drop the whole result."""
    text = jsontext.dumps(shape({"uri": uri, "text": "t"}))
    read = jsontext.loads(resource_result(text, "docs://handbook", "text/plain", "t", NEWEST.value) or "")
    assert read["contents"] == [{"uri": "docs://handbook", "text": "t", "mimeType": "text/plain"}]


values = st.sampled_from([None, 7, "x", "aGk=", [], {}, ["user"], True, {"uri": "a://b", "text": "t"}])
members = st.sampled_from(
    ["text", "data", "blob", "uri", "name", "mimeType", "_meta", "annotations", "title", "size", "icons", "resource"]
)
types = st.sampled_from(["text", "image", "audio", "resource", "resource_link"])
blocks = st.builds(lambda kind, rest: {"type": kind, **rest}, types, st.dictionaries(members, values, max_size=6))


@pytest.mark.parametrize("revision", list(Revision))
@given(content=st.lists(blocks, min_size=1, max_size=2))
def test_any_blocks_become_prompts_and_contents_of_the_revision(revision: Revision, content: list[Any]) -> None:
    text = jsontext.dumps({"content": content})
    found = jsontext.loads(prompt_result(text, "t", revision.value))
    conforms(found, "GetPromptResult", revision.value)
    read = jsontext.loads(resource_result(text, "a://b", None, "t", revision.value) or "")
    conforms(read, "ReadResourceResult", revision.value)

"""Parts of a document that are kept as text: it is decoded as it would be without, or refused for the same reason."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.jsontext import InvalidJSON
from asya_crds.large_json import WORTH_A_TEXT, Encoded, encode, with_texts

SPACE = st.sampled_from(["", " ", "\n\t ", "\r\n"])
VALUES = st.recursive(
    st.sampled_from(["null", "true", "1", "-0", "1.50", "1e2", str(2**80), '"a"', '"\\ud83d \\u0000"', '"ä\\/"', '""']),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{' , '.join(parts)}]"),
        st.lists(st.tuples(st.sampled_from(["a", "b"]), inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f'"{name}" : {text}' for name, text in pairs) + "}"
        ),
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["result", "status", "", "\\u0072esult", "a\\n"])
MEMBERS = st.lists(st.tuples(SPACE, NAMES, SPACE, SPACE, VALUES, SPACE), max_size=4)
BROKEN = ["", ",", "}", "]", "NaN", "1e999", '"', "\x00", "\ufeff", "[" * 200, '{"a":', "\ud800"]


def _document(members: list[tuple[str, ...]], before: str, after: str) -> str:
    inside = ",".join(f'{a}"{name}"{b}:{c}{value}{d}' for a, name, b, c, value, d in members)
    return f"{before}{{{inside}}}{after}"


def _read(body: bytes) -> Any:
    try:
        return jsontext.loads(body)
    except InvalidJSON as error:
        return str(error)


def _read_parts(body: bytes) -> tuple[Any, dict[str, str]]:
    try:
        return jsontext.loads_parts(body, ("result",))
    except InvalidJSON as error:
        return str(error), {}


@given(members=MEMBERS, before=SPACE, after=SPACE, cut=st.integers(0, 60), broken=st.sampled_from(BROKEN))
@settings(max_examples=500)
def test_a_document_is_read_the_same_with_its_parts_as_text(
    members: list[tuple[str, ...]], before: str, after: str, cut: int, broken: str
) -> None:
    whole = _document(members, before, after)
    for text in (whole, whole[:cut] + broken + whole[cut:]):
        body = text.encode("utf-8", "surrogatepass")
        value, texts = _read_parts(body)
        assert value == _read(body)
        for name, part in texts.items():
            assert jsontext.loads(part) == value[name]


def test_the_text_is_that_of_the_document() -> None:
    part = '{"n" : 1.50, "s": "\\ud83d"}'
    value, texts = jsontext.loads_parts(f'{{"status": "succeeded", "result": {part} }}'.encode(), ("result",))
    assert texts == {"result": part}
    assert value["status"] == "succeeded"


def test_a_small_part_and_one_that_is_nothing_are_values() -> None:
    assert not isinstance(with_texts(b'{"result": [1]}', ("result",))["result"], Encoded)
    filler = " " * WORTH_A_TEXT
    for nothing in ("null", "[]", "{}", '""', "0", "false"):
        assert not isinstance(with_texts(f'{{"result": {nothing}{filler}}}'.encode(), ("result",))["result"], Encoded)


def test_a_part_of_a_larger_document_is_text_of_its_shape() -> None:
    frames = json.dumps([{"id": "a", "payload": "x" * WORTH_A_TEXT}])
    found = with_texts(f'{{"frames": {frames}}}'.encode(), ("frames",))["frames"]
    assert isinstance(found, Encoded)
    assert (found.shape, encode(found)) == ("objects", frames)

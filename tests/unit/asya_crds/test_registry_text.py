"""A push as the event loop may hold it: its flows are text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.large_json import places
from asya_crds.registry_document import Entry, RegistryPush
from asya_crds.registry_text import LEFT_VALUES, split, without_flows

ROWS: list[Any] = [[] for _ in range(50_000)]


def push(**part: Any) -> dict[str, Any]:
    return {"epoch": 1, "configmap": {"hash": "one", **part}}


def test_what_comes_back_of_a_push_of_a_million_values_has_few() -> None:
    entries = [{"source": "s", "line": n, "flow": {"name": f"f{n}", "later": ROWS}} for n in range(20)]
    found = without_flows({**push(flows=entries), "later": ROWS, "resources": {"flows": entries[:0]}})
    assert places(found, 1_000) < 200
    assert [jsontext.loads(text)["flow"]["later"] == ROWS for text in found["texts"]["configmap"]] == [True] * 20
    assert RegistryPush.model_validate(found["value"]).configmap is not None


@pytest.mark.parametrize("line", [None, 3])
def test_an_entrys_text_is_the_one_that_its_model_has(line: int | None) -> None:
    entry: dict[str, Any] = {"flow": {"name": "f", "é": "\ud800"}, "source": "s", "line": line, "later": 1}
    known, plain = Entry.model_validate(entry), Entry.model_validate(entry)
    known.known_as(without_flows(push(flows=[entry]))["texts"]["configmap"][0])
    assert known.as_text() == plain.as_text()


@pytest.mark.parametrize("wrong", [7, "x", [], {"flows": 7}, {"flows": [7, None, {"flow": []}]}])
def test_an_invalid_part_is_left_to_the_model(wrong: Any) -> None:
    found = without_flows({"epoch": 1, "configmap": wrong})
    assert found["value"]["configmap"] == wrong
    assert [text for texts in found["texts"].values() for text in texts if text] == []


@pytest.mark.parametrize("document", [7, "x", [], None])
def test_a_push_that_is_not_an_object_is_left_to_the_reader(document: Any) -> None:
    assert without_flows(document) == {"value": None, "texts": {}}


@pytest.mark.parametrize("part", [{"problems": [[]] * LEFT_VALUES}, {"flows": [{"source": [[]] * LEFT_VALUES}]}])
def test_many_values_beside_the_flows_are_too_many(part: Any) -> None:
    assert without_flows(push(**part)) == {"too_many": LEFT_VALUES}


def test_a_flow_of_more_values_than_any_valid_one_has_becomes_a_problem() -> None:
    large = {"source": "flows.yaml", "line": 7, "flow": {"name": "large", "later": [[]] * 200_001}}
    small = {"source": "flows.yaml", "line": 8, "flow": {"name": "small"}}
    told = {"name": "other", "reason": "no", "source": "", "line": None}
    entries, problems, _ = split(jsontext.dumps({"flows": [large, small], "problems": [told]}))
    assert [jsontext.loads(text) for text in entries] == [small]
    reason = "expected a flow of at most 200000 values"
    assert problems == [told, {"name": "large", "reason": reason, "source": "flows.yaml", "line": 7}]


@given(st.dictionaries(st.text(), st.lists(st.integers() | st.text()) | st.text() | st.none()))
def test_a_document_encoded_by_parts_is_the_one_encoded_at_once(document: dict[str, Any]) -> None:
    assert jsontext.dumps_by_parts(document) == jsontext.dumps(document)

"""How x-resume joins an answer to the payload."""

from typing import Any

import pytest

from asya_crds import jsontext
from asya_crds.merging import CannotMerge, merge


@pytest.mark.parametrize(
    ("payload", "answer", "fields", "merged"),
    [
        ({"a": 1}, {"b": 2}, [], {"a": 1, "b": 2}),
        ({"a": {"x": 1}}, {"a": {"y": 2}}, [], {"a": {"y": 2}}),
        ({"a": 1}, {"b": 2, "c": 3}, [{"name": "b"}], {"a": 1, "b": 2}),
        ({"o": {"id": 1}}, {"ok": True}, [{"name": "ok", "payload_key": "/o/ok"}], {"o": {"id": 1, "ok": True}}),
        ({}, {"ok": True}, [{"name": "ok", "payload_key": "new/deep/ok"}], {"new": {"deep": {"ok": True}}}),
        ({"l": [{"v": 0}]}, {"v": 1}, [{"name": "v", "payload_key": "/l/0/v"}], {"l": [{"v": 1}]}),
        ({}, {}, [{"name": "n", "default": 5}], {"n": 5}),
        ({}, {}, [{"name": "n"}], {}),
        ({"a": 1}, "yes", [{"name": "said"}], {"a": 1, "said": "yes"}),
        (None, {"a": 1}, [{"name": "a"}], {"a": 1}),
        ({"a": 1}, None, [], {"a": 1}),
    ],
)
def test_an_answer_is_joined_to_the_payload(payload: Any, answer: Any, fields: list[Any], merged: Any) -> None:
    assert merge(payload, answer, fields) == merged


def test_deep_joins_level_by_level() -> None:
    before = {"a": {"x": 1, "l": [1]}, "b": 1}
    assert merge(before, {"a": {"y": 2, "l": [2]}, "b": {"z": 3}}, [], deep=True) == {
        "a": {"x": 1, "y": 2, "l": [2]},
        "b": {"z": 3},
    }
    assert before == {"a": {"x": 1, "l": [1]}, "b": 1}


@pytest.mark.parametrize(
    ("payload", "answer", "fields"),
    [
        ("text", {"a": 1}, []),
        ({"a": 1}, "text", []),
        ({"a": 1}, "text", [{"name": "a"}, {"name": "b"}]),
        ({"a": "text"}, {"b": 1}, [{"name": "b", "payload_key": "/a/b"}]),
        ({"l": []}, {"b": 1}, [{"name": "b", "payload_key": "/l/0"}]),
    ],
)
def test_what_does_not_fit_says_so(payload: Any, answer: Any, fields: list[Any]) -> None:
    with pytest.raises(CannotMerge):
        merge(payload, answer, fields)


@pytest.mark.parametrize(
    ("key", "answer", "reason"),
    [
        ("/a" * 101, "yes", "deeper than 100 levels"),
        ("/a" * 100_000, "yes", "deeper than 100 levels"),
        ("/a" * 100, [["yes"]], "deeper than 100 levels"),
        ("/items/²", "yes", "no item ²"),
        ("/items/" + "1" * 5_000, "yes", "no item 1"),
    ],
    ids=["too deep", "much too deep", "too deep with its answer", "no ASCII digit", "a very large number"],
)
def test_a_place_that_no_payload_can_have_is_refused(key: str, answer: Any, reason: str) -> None:
    with pytest.raises(CannotMerge, match=reason):
        merge({"items": [1]}, {"ok": answer}, [{"name": "ok", "payload_key": key}])


def test_a_place_as_deep_as_a_payload_may_be_is_filled() -> None:
    merged = merge({}, {"ok": "yes"}, [{"name": "ok", "payload_key": "/a" * 100}])
    assert jsontext.loads(jsontext.dumps(merged)) == merged

"""What JSON cannot express is named with its place."""

import math
from datetime import date
from typing import Any

import pytest

from asya_crds import jsontext


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1, 2}, "$: set is not a JSON value"),
        ({"a": {1, 2}}, "$.a: set is not a JSON value"),
        (
            {"fine": [1, "x", None, True], "a": [{}, {"when": date(2026, 1, 1)}]},
            "$.a[1].when: date is not a JSON value",
        ),
        ({"an odd key": (1, b"x")}, '$["an odd key"][1]: bytes is not a JSON value'),
        ({"first": {1}, "second": b""}, "$.first: set is not a JSON value"),
        ({"a": {(1, 2): 3}}, "$.a: keys must be str, int, float, bool or None, not tuple"),
    ],
)
def test_a_value_that_json_lacks_is_named_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(TypeError) as caught:
        jsontext.dumps(value)
    assert str(caught.value) == said


def test_a_number_that_json_lacks_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"^\$\.scores\[1\]: Out of range float"):
        jsontext.dumps({"scores": [0.5, math.nan]})


def test_a_long_key_is_shortened() -> None:
    with pytest.raises(TypeError) as caught:
        jsontext.dumps({"k" * 100_000: {1}})
    assert len(str(caught.value)) < 200


def test_a_place_is_found_before_a_value_that_contains_itself() -> None:
    circle: dict[str, Any] = {"wrong": {1}}
    circle["self"] = circle
    with pytest.raises(TypeError, match=r"^\$\.wrong: set"):
        jsontext.dumps(circle)

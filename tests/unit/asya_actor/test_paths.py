"""The path grammar of GET, SET and DEL."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_actor.contract.message import HandlerMessage
from asya_actor.contract.paths import parse_path, show
from asya_crds.envelope import Envelope, Route

PARSED = [
    (".route.next", ("route", "next")),
    (".headers.x-asya-flow", ("headers", "x-asya-flow")),
    ('.headers["a b"]', ("headers", "a b")),
    (".headers['a.b']", ("headers", "a.b")),
    ('.headers["\\u00e9\\""]', ("headers", 'é"')),
    ('["route"]["next"][0]', ("route", "next", 0)),
    (".route.next[-1]", ("route", "next", -1)),
    (".route.next[:0]", ("route", "next", slice(None, 0))),
    (".route.next[999:]", ("route", "next", slice(999, None))),
    (".route.next[ 1 : 2 ]", ("route", "next", slice(1, 2))),
    (".route.next[:]", ("route", "next", slice(None, None))),
]


@pytest.mark.parametrize(("path", "steps"), PARSED)
def test_a_path_is_read_as_its_steps(path: str, steps: tuple[Any, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "path",
    ["", "route", ".", "..route", ".route.", ".route[", ".route[]", ".route[x]", '.route["x]', ".route next",
     "[0]", ".route.next[::2]", ".route.next[:0][0]", ".route.next[1.5]", '.headers["\\x"]',
     ".headers[" + "9" * 19 + "]"],
)  # fmt: skip
def test_an_invalid_path_is_a_value_error_that_shows_it(path: str) -> None:
    with pytest.raises(ValueError, match="bad path"):
        parse_path(path)


@pytest.mark.parametrize("path", [None, 5, b".route", [".route"]])
def test_a_path_must_be_text(path: object) -> None:
    with pytest.raises(TypeError, match="expected a path"):
        parse_path(path)


@given(st.text())
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    try:
        steps = parse_path(text)
    except ValueError:
        return
    assert steps


names = st.text(min_size=1).filter(lambda name: json.loads(json.dumps(name)) == name)


@given(st.lists(st.one_of(names, st.integers(-(10**17), 10**17)), max_size=4), names)
def test_what_is_shown_is_read_back(rest: list[str | int], first: str) -> None:
    steps = (first, *rest)
    assert parse_path(show(steps)) == steps


def message() -> HandlerMessage:
    return HandlerMessage(
        Envelope(
            id="task",
            parent_id="parent",
            route=Route(("a",), "b", ("c", "d")),
            headers={"x": {"deep": [1, 2]}},
            status={"phase": "pending", "attempt": 1},
            payload={},
        )
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".id", "task"),
        (".parent_id", "parent"),
        (".route", {"prev": ["a"], "curr": "b", "next": ["c", "d"]}),
        (".route.next[-1]", "d"),
        (".route.prev[0]", "a"),
        ('.headers["x"].deep[1]', 2),
        (".status.attempt", 1),
    ],
)
def test_get_returns_the_value_at_the_path(path: str, value: Any) -> None:
    assert message().get(path) == value


def test_get_answers_a_deep_copy() -> None:
    changed = message()
    changed.get(".headers.x")["deep"].append(3)
    assert changed.get(".headers.x.deep") == [1, 2]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (".headers.none", KeyError),
        (".payload", KeyError),
        (".route.next[2]", IndexError),
        (".route.next[-3]", IndexError),
        (".route.next.name", TypeError),
        (".route[0]", TypeError),
        (".id.x", TypeError),
        (".route.next[:1]", ValueError),
    ],
)
def test_get_of_what_is_not_there_raises(path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        message().get(path)


@pytest.mark.parametrize(
    ("path", "value", "after"),
    [
        (".route.next", [], []),
        (".route.next[0]", "x", ["x", "d"]),
        (".route.next[-1]", "x", ["c", "x"]),
        (".route.next[:0]", ["x", "y"], ["x", "y", "c", "d"]),
        (".route.next[999:]", ["x"], ["c", "d", "x"]),
        (".route.next[0:1]", [], ["d"]),
    ],
)
def test_set_changes_what_is_left_of_the_route(path: str, value: Any, after: list[str]) -> None:
    changed = message()
    changed.set(path, value)
    assert changed.route == Route(("a",), "b", tuple(after))


def test_set_and_del_change_headers_and_status() -> None:
    changed = message()
    changed.set(".headers.new", {"a": (1, 2)})
    changed.set(".headers.x.deep[0]", None)
    changed.set(".status.note", "seen")
    changed.delete(".headers.x.deep[1]")
    changed.delete(".status.attempt")
    frame = changed.frame({"p": 1})
    assert frame.headers == {"x": {"deep": [None]}, "new": {"a": [1, 2]}}
    assert frame.status == {"phase": "pending", "note": "seen"}


def test_del_of_a_writable_whole_empties_it() -> None:
    changed = message()
    for path in (".route.next", ".headers", ".status"):
        changed.delete(path)
    frame = changed.frame(1)
    assert (frame.route.next, frame.headers, frame.status) == ((), {}, {})


@pytest.mark.parametrize(
    "path", [".id", ".parent_id", ".route", ".route.prev", ".route.prev[0]", ".route.curr", ".payload", '["id"]']
)
def test_everything_else_is_read_only(path: str) -> None:
    """read-only `.id`, `.parent_id`, `.route.prev`, `.route.curr` (PermissionError)."""
    changed = message()
    with pytest.raises(PermissionError, match="read-only"):
        changed.set(path, "x")
    with pytest.raises(PermissionError, match="read-only"):
        changed.delete(path)


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (".route.next", "c", TypeError),
        (".route.next", [1], TypeError),
        (".route.next", [""], TypeError),
        (".route.next[0]", None, TypeError),
        (".route.next[:0]", "c", TypeError),
        (".route.next[7]", "x", IndexError),
        (".headers", [], TypeError),
        (".status", None, TypeError),
        (".headers.none.x", 1, KeyError),
        (".headers.x[:0]", [1], TypeError),
        (".headers.x[0]", 1, TypeError),
        (".headers.x.deep.y", 1, TypeError),
        (".headers.y", {1, 2}, TypeError),
        (".headers.y", float("nan"), ValueError),
    ],
)
def test_set_of_what_cannot_be_raises_and_changes_nothing(path: str, value: Any, error: type[Exception]) -> None:
    changed = message()
    with pytest.raises(error):
        changed.set(path, value)
    assert changed.frame(1) == message().frame(1)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (".headers.none", KeyError),
        (".route.next[5]", IndexError),
        (".route.next[:1]", ValueError),
        (".headers.x[0]", TypeError),
    ],
)
def test_del_of_what_cannot_be_raises(path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        message().delete(path)


def test_a_frame_is_not_changed_by_what_comes_after_it() -> None:
    changed, payload = message(), {"list": [1]}
    before = changed.frame(payload)
    payload["list"].append(2)
    changed.set(".headers.x.deep", [])
    changed.set(".route.next", [])
    assert before == message().frame({"list": [1]})

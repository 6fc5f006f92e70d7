"""Requests for lists: each parameter is read or named, in each dialect."""

from datetime import UTC, datetime
from typing import Any

import pytest

from asya_gateway.protocols.a2a.dialects import v0_3, v1_0
from asya_gateway.protocols.a2a.errors import INVALID_PARAMS, InvalidParams
from asya_gateway.protocols.a2a.model import ListRequest, State


def test_without_parameters_a_page_has_fifty_tasks_of_every_state() -> None:
    assert v1_0.read_listing({}) == v0_3.read_listing({}) == ListRequest()
    assert ListRequest().page_size == 50


def test_every_parameter_is_read_by_both_of_its_names() -> None:
    params = {
        "contextId": "c",
        "status": "TASK_STATE_WORKING",
        "pageSize": 7,
        "pageToken": "t",
        "historyLength": 0,
        "statusTimestampAfter": "2026-07-28T03:02:03.456+02:00",
        "includeArtifacts": True,
        "tenant": "echo",
    }
    at = datetime(2026, 7, 28, 1, 2, 3, 456000, tzinfo=UTC)
    expected = ListRequest("c", State.WORKING, 7, "t", 0, at, True, "echo")
    assert v1_0.read_listing(params) == expected
    snake = {"".join(f"_{each.lower()}" if each.isupper() else each for each in name): params[name] for name in params}
    assert v1_0.read_listing(snake) == expected
    assert v1_0.read_listing(dict.fromkeys(params)) == ListRequest()


def test_a_state_may_be_a_number_of_the_proto_and_the_unspecified_one_is_every_state() -> None:
    """Parsers of ProtoJSON accept both names and numbers."""
    assert [v1_0.read_listing({"status": number}).state for number in range(9)] == [
        None,
        State.SUBMITTED,
        State.WORKING,
        State.COMPLETED,
        State.FAILED,
        State.CANCELED,
        State.INPUT_REQUIRED,
        State.REJECTED,
        State.AUTH_REQUIRED,
    ]
    assert v1_0.read_listing({"status": "TASK_STATE_UNSPECIFIED"}).state is None
    assert [v1_0.read_listing({"status": v1_0.state(state)}).state for state in State] == list(State)
    assert [v0_3.read_listing({"status": state.value}).state for state in State] == list(State)


WRONG: list[tuple[str, Any]] = [
    ("pageSize", 0),
    ("pageSize", 101),
    ("pageSize", -1),
    ("pageSize", "5"),
    ("pageSize", 1.5),
    ("pageSize", True),
    ("pageToken", 1),
    ("historyLength", -1),
    ("historyLength", 2**31),
    ("historyLength", False),
    ("status", "TASK_STATE_RUNNING"),
    ("status", "running"),
    ("status", 9),
    ("status", -1),
    ("status", True),
    ("status", False),
    ("status", ["TASK_STATE_WORKING"]),
    ("statusTimestampAfter", "yesterday"),
    ("statusTimestampAfter", "2026-01-01"),
    ("statusTimestampAfter", "2026-01-01T00:00:00"),
    ("statusTimestampAfter", "2026-13-01T00:00:00Z"),
    ("statusTimestampAfter", "0001-01-01T00:00:00+23:59"),
    ("statusTimestampAfter", "9" * 100),
    ("statusTimestampAfter", 5),
    ("includeArtifacts", "true"),
    ("includeArtifacts", 1),
    ("contextId", ["a"]),
    ("contextId", "c" * 256),
    ("tenant", 1),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}-{str(value)[:20]}" for name, value in WRONG])
def test_a_wrong_parameter_is_named(name: str, value: Any) -> None:
    for read in (v1_0.read_listing, v0_3.read_listing):
        with pytest.raises(InvalidParams) as raised:
            read({name: value})
        assert raised.value.kind is INVALID_PARAMS
        assert [field for field, _ in raised.value.fields] == [name]

"""What is rendered is what is described: tasks, pages, errors, handles, flows."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.flow_problem import FlowProblem
from asya_crds.flows_json import FlowsJson
from asya_crds.status import ErrorClass, TaskStatus, UpdateKind
from asya_crds.task_error import TaskError
from asya_crds.violation import Violation
from asya_gateway.domain.errors import GatewayError, InvalidArguments, InvalidInput, Unavailable
from asya_gateway.domain.log import (
    AnsweredEntry,
    CreatedEntry,
    FinalEntry,
    LogEntry,
    OtherEntry,
    PausedEntry,
    ProgressEntry,
    ResumedEntry,
)
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.pausing import read_pause
from asya_gateway.domain.task import Task, TaskUpdate
from asya_gateway.protocols.http.errors import error_dict
from asya_gateway.protocols.http.openapi import SCHEMAS
from asya_gateway.protocols.http.rendering import task_fields, task_json, update_json
from asya_gateway.protocols.rest.handles import handle_json
from tests.support.inputs import ALL_KINDS

NOW = datetime(2026, 3, 8, 10, 0, 5, tzinfo=UTC)
PAUSE = Pause("p", "Go on?", {"type": "object"}, [{"name": "ok", "type": "boolean"}])
SEVERAL = read_pause({"inputs": ALL_KINDS, "url": "https://example.com/", "on_decline": "continue"}, "p")
ERROR = TaskError("actor_error", "m", ErrorClass.BUSINESS)


def _fits(name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": _closed(SCHEMAS)}}
    problems = [
        f"{list(each.instance_path)}: {each.message}" for each in Draft202012Validator(schema).iter_errors(value)
    ]
    assert not problems


def _closed(node: Any) -> Any:
    """The description without room for members that it does not name."""
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


TASKS = st.builds(
    Task,
    id=st.just("t"),
    status=st.sampled_from(TaskStatus),
    flow=st.just("f"),
    owner=st.just(""),
    route=st.builds(
        Route, prev=st.sampled_from([(), ("a",)]), curr=st.sampled_from(["", "b"]), next=st.sampled_from([(), ("c",)])
    ),
    progress=st.floats(0, 100),
    last_seq=st.just(1),
    created_at=st.just(NOW),
    updated_at=st.just(NOW),
    parent_id=st.sampled_from([None, "p"]),
    context_id=st.sampled_from([None, "c"]),
    message=st.sampled_from([None, "m"]),
    deadline_at=st.sampled_from([None, NOW]),
    finished_at=st.sampled_from([None, NOW]),
    error=st.sampled_from([None, ERROR, replace(ERROR, actor="a", attempts=2, details={"type": "ValueError"})]),
    pause=st.sampled_from([None, PAUSE, replace(PAUSE, data=[1]), SEVERAL, SEVERAL.after({"name"}, {})]),
    payload=st.sampled_from([None, "{}", "[1]"]),
    result=st.sampled_from([None, '"text"']),
    retry_of=st.sampled_from([None, "o"]),
)


@given(task=TASKS)
def test_every_task_is_rendered_as_described(task: Task) -> None:
    _fits("Task", jsontext.loads(task_json(task)))
    _fits("TaskSummary", task_fields(task))
    _fits("TaskPage", {"tasks": [task_fields(task)], "next_cursor": None})
    _fits("MessageList", {"messages": [task_fields(task)], "total": 1})


HOP = {"route": Route(("a",), "b", ("c",)), "state": "processing"}
ENTRIES = [
    CreatedEntry(message="m", parent_id="p"),
    ProgressEntry(),
    ProgressEntry(message="m", **HOP, duration_ms=1.5, message_size_kb=2),  # type: ignore[arg-type]
    PausedEntry(message="m", pause=PAUSE, **HOP),  # type: ignore[arg-type]
    AnsweredEntry(message="m", pause_id="p", key="name", action="consent", by="mcp"),
    ResumedEntry(message="m", pause_id="p"),
    FinalEntry(message="m"),
    FinalEntry(error=ERROR, metadata={"a": 1}),
    OtherEntry(message="m"),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
@pytest.mark.parametrize("result", [None, "[1]"])
def test_every_update_is_rendered_as_described(entry: LogEntry, result: str | None) -> None:
    update = TaskUpdate("t", 3, UpdateKind.PROGRESS, TaskStatus.RUNNING, 12.34, NOW, entry, result)
    _fits("Update", jsontext.loads(update_json(update)))


def test_members_of_a_newer_version_are_kept_beside_the_described_ones() -> None:
    entry = OtherEntry(message="m", more={"news": 1, "status": "odd"})
    update = TaskUpdate("t", 3, UpdateKind.PROGRESS, TaskStatus.RUNNING, 12.34, NOW, entry)
    shown = jsontext.loads(update_json(update))
    assert (shown["news"], shown["status"], shown["message"]) == (1, "running", "m")


@pytest.mark.parametrize(
    "error",
    [
        GatewayError("m"),
        InvalidInput("m", field="f"),
        InvalidArguments([Violation("/a", "m")]),
        Unavailable("m", uncertain=True),
        Unavailable("m"),
    ],
)
def test_every_error_is_rendered_as_described(error: GatewayError) -> None:
    _fits("Error", {"error": error_dict(error)})


def test_a_handle_is_rendered_as_described() -> None:
    result = jsontext.loads(handle_json("t", "https://gateway.example"))
    _fits("CallResult", result)
    assert jsontext.loads(result["content"][0]["text"])["task_id"] == "t"


def test_the_flows_are_rendered_as_described() -> None:
    report: FlowsJson = {
        "generation": 1,
        "flows": [{"name": "f", "actors": ["a"], "mcp": True, "a2a": False, "source": "flows.yaml", "line": None}],
        "problems": [FlowProblem.of("g", "r", "flows.yaml", 3).as_dict()],
        "unroutable": [{"actor": "a", "messages": 3, "reason": "queue asya-default-a is not declared"}],
        "file": None,
    }
    _fits("Flows", report)

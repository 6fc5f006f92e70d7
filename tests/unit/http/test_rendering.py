"""Tasks as JSON."""

from dataclasses import replace
from datetime import UTC, datetime

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.log import read_entry
from asya_gateway.domain.task import Task, TaskUpdate
from asya_gateway.protocols.http.rendering import task_json, update_json, with_verbatim

NOW = datetime(2026, 3, 8, 10, 0, 5, tzinfo=UTC)
TASK = Task(
    id="t",
    status=TaskStatus.SUCCEEDED,
    flow="f",
    owner="",
    route=Route(("prep", "infer", "post"), "", ()),
    progress=100.0,
    last_seq=9,
    created_at=NOW,
    updated_at=NOW,
)


def test_bodies_are_put_in_as_they_are() -> None:
    """Integers beyond 64 bits stay exact or are refused, never rounded."""
    odd = '{"n":9223372036854775809,"s":"\\ud800\\u0000"}'
    text = task_json(replace(TASK, payload=odd, result=odd))
    assert text.count(odd) == 2
    assert jsontext.loads(text)["result"] == {"n": 2**63 + 1, "s": "\ud800\0"}


def test_verbatim_members_join_an_object_of_any_size() -> None:
    assert with_verbatim({}, {}) == "{}"
    assert with_verbatim({}, {"a": "1"}) == '{"a":1}'
    assert with_verbatim({"b": 2}, {"a": None}) == '{"b":2,"a":null}'


def test_a_finished_task_shows_its_last_actor() -> None:
    """Existing clients read current_actor_idx 2, current_actor_name postprocess, actors_completed 3 of 3."""
    fields = jsontext.loads(task_json(TASK))
    assert fields["current_actor_idx"] == 2
    assert fields["current_actor_name"] == "post"
    assert (fields["actors_completed"], fields["total_actors"]) == (3, 3)


def test_an_update_has_both_dialects_words() -> None:
    """curr, task_state, message; current_actor_idx, actor_state, actor, actors."""
    detail = {"prev": [], "curr": "prep", "next": ["infer"], "task_state": "received", "message": "m", "duration_ms": 3}
    update = TaskUpdate(
        "t", 2, UpdateKind.PROGRESS, TaskStatus.RUNNING, 5.04, NOW, read_entry(UpdateKind.PROGRESS, detail)
    )
    assert jsontext.loads(update_json(update)) == {
        "id": "t",
        "status": "running",
        "progress_percent": 5.0,
        "prev": [],
        "curr": "prep",
        "next": ["infer"],
        "actor": "prep",
        "actors": ["prep", "infer"],
        "current_actor_idx": 0,
        "task_state": "received",
        "actor_state": "received",
        "message": "m",
        "duration_ms": 3,
        "timestamp": "2026-03-08T10:00:05.000000Z",
    }

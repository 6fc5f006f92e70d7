"""Entries of the log: written and read by one type each, and what is not known is passed on."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.status import ErrorClass, HopState, TaskStatus, UpdateKind
from asya_crds.task_error import TaskError
from asya_gateway.domain.log import (
    AnsweredEntry,
    CreatedEntry,
    FinalEntry,
    LogEntry,
    OtherEntry,
    PausedEntry,
    ProgressEntry,
    ResumedEntry,
    read_entry,
)
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.task import TaskUpdate
from asya_gateway.protocols.http.rendering import update_json
from asya_gateway.protocols.mcp.progress import Progress

ROUTE = Route(("a",), "b", ("c",))
ENTRIES: dict[UpdateKind, LogEntry] = {
    UpdateKind.CREATED: CreatedEntry(message="Task created", parent_id="p"),
    UpdateKind.PROGRESS: ProgressEntry(message="m", route=ROUTE, state=HopState.COMPLETED, duration_ms=3),
    UpdateKind.PAUSED: PausedEntry(route=ROUTE, state="paused", pause=Pause("hop-1", "?", {}, [{"name": "x"}])),
    UpdateKind.ANSWERED: AnsweredEntry(pause_id="hop-1", key="name", action="accept", by="rest"),
    UpdateKind.RESUMED: ResumedEntry(message="Task resumed", pause_id="hop-1"),
    UpdateKind.FINAL: FinalEntry(error=TaskError("c", "m", ErrorClass.BUSINESS), metadata={"k": 1}),
}


@pytest.mark.parametrize("kind", UpdateKind)
def test_each_kind_reads_as_it_was_written(kind: UpdateKind) -> None:
    assert read_entry(kind, jsontext.loads(ENTRIES[kind].to_json())) == ENTRIES[kind]


def test_what_a_newer_version_wrote_beside_is_kept() -> None:
    entry = read_entry(UpdateKind.PROGRESS, {"message": "m", "task_state": "resting", "cost": {"usd": 1}})
    assert isinstance(entry, ProgressEntry)
    assert (entry.state, entry.more) == ("resting", {"cost": {"usd": 1}})
    assert entry.as_dict()["cost"] == {"usd": 1}


def test_words_that_are_not_known_are_passed_on() -> None:
    status, kind = TaskStatus.read("suspended"), UpdateKind.read("artifact")
    assert (status.value, status.terminal, status.waiting) == ("suspended", False, False)
    assert TaskStatus.read_of("expired", ended=True).terminal
    assert TaskStatus.read("running") is TaskStatus.RUNNING
    error = TaskError.from_dict({"code": "c", "message": "m", "class": "quota"})
    assert error.as_dict() == {"code": "c", "message": "m", "class": "quota"}
    assert kind not in list(UpdateKind)


@pytest.mark.parametrize("word", [TaskStatus, UpdateKind, ErrorClass])
def test_a_word_from_outside_is_still_refused(word: Any) -> None:
    with pytest.raises(ValueError, match="unheard"):
        word("unheard")


def test_an_entry_of_a_kind_that_is_not_known_is_rendered_on_every_wire() -> None:
    entry = read_entry(UpdateKind.read("artifact"), {"message": "a file", "artifact": {"name": "x"}})
    assert isinstance(entry, OtherEntry)
    now = datetime.now(UTC)
    update = TaskUpdate("t", 3, UpdateKind.read("artifact"), TaskStatus.read("suspended"), 50.0, now, entry)
    shown = jsontext.loads(update_json(update))
    assert (shown["status"], shown["message"], shown["artifact"]) == ("suspended", "a file", {"name": "x"})
    text = Progress("token").of(update)
    assert text is not None
    assert jsontext.loads(text)["params"]["message"] == "a file"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["message", "prev", "curr", "next", "task_state", "pause", "error", "pause_id", "parent_id", "key", "x"]
)


@given(st.sampled_from([*UpdateKind, UpdateKind.read("new")]), json_values | st.dictionaries(keys, json_values))
def test_no_row_stops_a_reader(kind: UpdateKind, detail: Any) -> None:
    entry = read_entry(kind, detail)
    update = TaskUpdate("t", 1, kind, TaskStatus.RUNNING, 1.0, datetime.now(UTC), entry)
    update_json(update)
    Progress("t").of(update)

"""The messages between workers and mesh: both ends and the description are made from the same models."""

import functools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.reporting import HopReports
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_crds.mesh_messages import (
    ChildMessage,
    FinalMessage,
    OlderRouteMessage,
    ProgressAnswerMessage,
    ProgressMessage,
    RouteMessage,
    read_answer,
)
from asya_crds.message import InvalidMessage, WireMessage, read, schema_of
from asya_crds.pause_messages import QuestionField, QuestionMessage
from asya_crds.registry_messages import AnnounceMessage, HeartbeatMessage, KeptFlow, PodMessage
from asya_crds.status import ClaimAction, HopState
from asya_crds.unified_messages import OneActorMessage
from asya_gateway.domain.reports import ProgressReport
from asya_gateway.protocols.mesh.finals import decode_final
from asya_gateway.protocols.mesh.progress import decode_progress

ROUTE = Route(("a",), "b", ("c",))


@pytest.mark.parametrize("state", HopState)
def test_what_the_worker_says_is_what_mesh_reads(state: HopState) -> None:
    reports = HopReports(MeshClient(), "http://mesh", Envelope("t", ROUTE, {}, status={"attempt": 3}))
    body = reports._body(state, message="half an emoji: \ud83d", duration_ms=12, message_size_kb=1.5)
    found = decode_progress("t", jsontext.loads(jsontext.dumps(body)))
    assert isinstance(found, ProgressReport)
    assert (found.state, found.route, found.message) == (state, ROUTE, "half an emoji: \ud83d")
    assert (found.duration_ms, found.message_size_kb) == (12, 1.5)
    assert found.claim is not None
    assert (found.claim.hop, found.claim.attempt, found.claim.claimant) == ("1", 3, reports.claimant)


def test_a_failure_that_the_crew_reports_is_what_mesh_reads() -> None:
    said = FinalMessage.saying(id="t", status="failed", error="m", error_class="runtime", attempts=2)
    assert said.as_dict() == {"id": "t", "status": "failed", "error": "m", "class": "runtime", "attempts": 2}
    error = decode_final("t", said.as_dict()).error
    assert error is not None
    assert (error.message, error.error_class, error.attempts) == ("m", "runtime", 2)


def test_what_is_sent_is_not_checked_so_that_a_report_is_made_of_any_envelope() -> None:
    said = FinalMessage.saying(id="t", status="failed", current_actor_name="a\0b", attempts=2**40)
    assert said.as_dict()["attempts"] == 2**40
    with pytest.raises(InvalidMessage):
        read(FinalMessage, said.as_dict())


@pytest.mark.parametrize(
    ("answer", "action", "lease"),
    [
        ({"action": "busy", "lease_seconds": 5}, ClaimAction.BUSY, 5),
        ({"action": "rest", "lease_seconds": 5}, None, 5),
        ({"action": ["busy"], "lease_seconds": True, "progress_percent": "all"}, None, None),
        ({}, None, None),
    ],
)
def test_an_answer_of_another_version_is_read_as_far_as_it_is_understood(
    answer: dict[str, Any], action: ClaimAction | None, lease: float | None
) -> None:
    found = read_answer(answer)
    assert (found.action, found.lease_seconds) == (action, lease)


@pytest.mark.parametrize(
    ("model", "body", "field", "part"),
    [
        (ProgressMessage, {"status": "resting"}, "status", "expected one of received"),
        (ProgressMessage, {}, "status", "required field is missing"),
        (ProgressMessage, {"status": "received", "duration_ms": -1}, "duration_ms", "not negative"),
        (ProgressMessage, {"status": "received", "claim": {"hop": 1, "attempt": 0}}, "claim.attempt", "from 1 to"),
        (ProgressMessage, {"status": "received", "claim": 5}, "claim", "expected an object"),
        (FinalMessage, {"status": "failed", "class": "bad"}, "class", "expected one of business"),
        (FinalMessage, {"status": "failed", "error": 5}, "error", "expected a string, or an object"),
        (ChildMessage, {"id": "registry", "parent_id": "b"}, "id", "expected another id: registry is a word"),
        (ChildMessage, {"id": "a", "parent_id": "\n"}, "parent_id", "printable"),
        (ChildMessage, {"id": "a", "parent_id": "b", "ends_itself": 1}, "ends_itself", "expected true or false"),
    ],
)
def test_a_mistake_names_its_field_and_what_was_expected(
    model: type[WireMessage], body: dict[str, Any], field: str, part: str
) -> None:
    with pytest.raises(InvalidMessage, match=part) as raised:
        read(model, body)
    assert raised.value.field == field


SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        1.0,
        2.5,
        -1,
        2**31,
        1e16,
        "",
        "a",
        "received",
        "failed",
        "business",
        ".",
        "a\n",
        [],
        {},
        {"a": 1},
    ]
)
CLAIMS = st.dictionaries(st.sampled_from(["hop", "attempt", "claimant", "x"]), SCALARS, max_size=4)
PARTS = st.lists(SCALARS | st.fixed_dictionaries({"name": SCALARS}, optional={"type": SCALARS}), max_size=3)
MODELS = [
    ProgressMessage,
    FinalMessage,
    ChildMessage,
    RouteMessage,
    OlderRouteMessage,
    QuestionMessage,
    QuestionField,
    OneActorMessage,
    AnnounceMessage,
    HeartbeatMessage,
    KeptFlow,
    PodMessage,
]


@functools.cache
def description_of(model: type[WireMessage]) -> Draft202012Validator:
    """Compiled once: it takes longer than an example."""
    return Draft202012Validator(schema_of(model))


@pytest.mark.parametrize("model", MODELS)
@given(data=st.data())
@settings(max_examples=150)
def test_the_description_takes_what_the_model_takes(model: type[WireMessage], data: st.DataObject) -> None:
    names = [field.alias or name for name, field in model.model_fields.items()]
    body = data.draw(st.dictionaries(st.sampled_from([*names, "x"]), SCALARS | CLAIMS | PARTS, max_size=6))
    described = description_of(model).is_valid(body)
    try:
        read(model, body)
    except InvalidMessage:
        assert not described
    else:
        assert described


def test_the_answer_is_described_as_it_is_sent() -> None:
    said = ProgressAnswerMessage.saying(
        progress_percent=12.5, action=ClaimAction.GO, lease_seconds=15.0, remaining_seconds=-2.5
    )
    sent = jsontext.loads(jsontext.dumps(said.as_dict()))
    assert sent == {
        "status": "ok",
        "progress_percent": 12.5,
        "action": "go",
        "lease_seconds": 15.0,
        "remaining_seconds": -2.5,
    }
    assert Draft202012Validator(schema_of(ProgressAnswerMessage)).is_valid(sent)

"""The reports of a hop that travel together: what mesh reads, and what it refuses by name."""

from typing import Any

import pytest

from asya_crds.envelope import Envelope, Route
from asya_crds.hop_reports import (
    AckMessage,
    BeginAction,
    BeginAnswer,
    BeginMessage,
    EndAnswer,
    EndMessage,
    EndOutcome,
    PartMessage,
    QueuesMessage,
    ReportError,
    SendMessage,
    Yours,
    completed_message,
    processing_message,
    received_message,
)
from asya_crds.mesh_messages import BatchOffer, ProgressAnswerMessage, read_answer
from asya_crds.message import InvalidMessage, WireMessage, read
from asya_crds.status import ClaimAction

CLAIM = {"hop": "0", "attempt": 1, "claimant": "c"}
SEND = {"to": "b", "id": "t", "head": '{"id":"t"}', "payload": "{}"}
END = {"id": "t", "prev": [], "curr": "a", "next": ["b"], "claim": CLAIM}
CHILD = {"parent_id": "t", "prev": ["a"], "curr": "b", "next": []}


def test_an_end_with_everything_is_read() -> None:
    found = read(
        EndMessage,
        {
            **END,
            "log": {"message": "Completed processing in 3ms", "duration_ms": 3},
            "sends": [SEND, {**SEND, "id": "c1", "child": CHILD}],
            "ends": {"send": 0, "actor": "b"},
            "ack": {"message": 4711, "receipt": "5F0E4F5C-0d1b-5f0e-9a53-6a6f3d1c7b21"},
            "parts": 3,
        },
    )
    assert (found.id, found.curr, found.next, found.claim.hop, found.parts) == ("t", "a", ("b",), "0", 3)
    assert found.log is not None
    assert (found.log.message, found.log.duration_ms) == ("Completed processing in 3ms", 3)
    assert found.sends[0].child is None
    child = found.sends[1].child
    assert child is not None
    assert (child.parent_id, child.prev, child.curr) == ("t", ("a",), "b")
    assert found.ends is not None
    assert (found.ends.send, found.ends.actor) == (0, "b")
    assert found.ack == AckMessage(message=4711, receipt="5f0e4f5c-0d1b-5f0e-9a53-6a6f3d1c7b21")


@pytest.mark.parametrize(
    ("model", "body", "field", "expected"),
    [
        (BeginMessage, {"id": "t"}, "claim", "required"),
        (BeginMessage, {"id": "t", "claim": {**CLAIM, "hop": -1}}, "claim.hop", "integer from 0"),
        (EndMessage, {**END, "sends": [SEND, {**SEND, "to": "Not an actor"}]}, "sends[1].to", "an actor name"),
        (EndMessage, {**END, "sends": [{**SEND, "payload": "a\x1fb"}]}, "sends[0].payload", "control characters"),
        (EndMessage, {**END, "sends": [{**SEND, "payload": ""}]}, "sends[0].payload", "JSON text"),
        (EndMessage, {**END, "sends": [{**SEND, "head": '{"a":"\ud800"}'}]}, "sends[0].head", "surrogates"),
        (EndMessage, {**END, "sends": [{**SEND, "head": "{}"}]}, "sends[0].head", "an object with members"),
        (EndMessage, {**END, "sends": [{**SEND, "head": '[{"a":1}]'}]}, "sends[0].head", "an object with members"),
        (EndMessage, {**END, "sends": [{**SEND, "child": {}}]}, "sends[0].child.parent_id", "required"),
        (EndMessage, {**END, "ack": {"message": 2**63, "receipt": "x"}}, "ack.message", "integer from 1"),
        (EndMessage, {**END, "ack": {"message": 1, "receipt": "x"}}, "ack.receipt", "a UUID"),
        (EndMessage, {**END, "parts": 0}, "parts", "integer from 1"),
        (PartMessage, {"id": "t", "claim": CLAIM}, "part", "required"),
        (QueuesMessage, {"transport": "postgres"}, "namespace", "required"),
        (QueuesMessage, {"transport": "p", "namespace": "n", "sump": ""}, "sump", "an actor name"),
    ],
)
def test_a_wrong_field_is_named(model: type[WireMessage], body: dict[str, Any], field: str, expected: str) -> None:
    with pytest.raises(InvalidMessage, match=expected) as refused:
        read(model, body)
    assert refused.value.field == field


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert read(SendMessage, {**SEND, "newer": 1}).to == "b"


def test_head_and_payload_are_an_envelope_again() -> None:
    envelope = Envelope("t", Route(("a",), "b"), {"x": "half an emoji: \ud83d"}, headers={"h": "\0"})
    head, payload = envelope.to_texts()
    send = read(SendMessage, {"to": "b", "id": "t", "head": head, "payload": payload})
    assert f'{send.head[:-1]},"payload":{send.payload}}}' == envelope.to_json()
    assert Envelope.from_json(envelope.to_json()) == envelope


def test_the_answers_are_what_the_worker_reads() -> None:
    done = read(BeginAnswer, {"action": "done", "known": True, "lease_seconds": 15, "remaining_seconds": -0.5})
    assert (done.action, done.lease_seconds, done.remaining_seconds) == (BeginAction.DONE, 15, -0.5)
    yours = read(EndAnswer, {"outcome": "yours", "reason": "undeclared"})
    assert (yours.outcome, yours.reason) == (EndOutcome.YOURS, Yours.UNDECLARED)
    error = read(ReportError, {"status": 503, "message": "later", "retry_after": 1})
    assert (error.status, error.message, error.retry_after) == (503, "later", 1)


def test_no_action_of_a_begin_is_one_that_an_older_worker_would_take_for_another() -> None:
    assert {*BeginAction} - {*ClaimAction} == {"drop"}
    assert read_answer({"action": "drop"}).action is None


@pytest.mark.parametrize("odd", [True, [], {}, {"rows": 1}, {"rows": 0, "bytes": 1}, {"rows": "1", "bytes": 1}])
def test_an_offer_that_cannot_be_understood_is_none(odd: Any) -> None:
    assert read_answer({"batch": odd}).batch is None


def test_an_offer_is_read() -> None:
    offer = BatchOffer(rows=256, bytes=1048576)
    assert read_answer({"batch": {"rows": 256, "bytes": 1048576, "newer": 1}}).batch == offer
    assert ProgressAnswerMessage.wire(batch=offer)["batch"] == offer


def test_the_texts_of_the_log_are_those_of_single_reports() -> None:
    assert received_message(0.61) == "Received message (0.61 KB)"
    assert received_message(None) == "Received message"
    assert processing_message("a") == "Processing in a"
    assert completed_message(3) == "Completed processing in 3ms"
    assert completed_message(None) is None

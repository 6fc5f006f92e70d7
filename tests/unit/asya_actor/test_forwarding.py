"""What a hop sends on."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_actor.contract.message import Frame
from asya_actor.failures import Failure
from asya_actor.forwarding import child_id, destination, failed, forward, redeliveries_of, rerouted, retried
from asya_crds.envelope import Envelope, Route

DEADLINE = "2026-01-01T00:00:00Z"
ENVELOPE = Envelope(
    id="task",
    route=Route(("a",), "b", ("c",)),
    headers={"kept": 1, "x-asya-first-attempt": "2026-01-01T00:00:00Z"},
    status={"phase": "pending", "attempt": 3, "created_at": "then", "deadline_at": DEADLINE, "redeliveries": 2},
    payload={"in": 1},
)
FAILURE = Failure("it broke", "mod.Error", ("Exception",), "trace", "business")


def frame(payload: object = 1, following: tuple[str, ...] = ("c",)) -> Frame:
    return Frame(payload, Route(("a",), "b", following), {"kept": 2}, {"phase": "made up", "note": "mine"})


def test_a_frame_is_sent_with_a_shifted_route_new_attempts_and_the_deadline() -> None:
    """wire: sidecars drop `deadline_at` after the first hop; ours keeps it."""
    (sent,) = forward(ENVELOPE, [frame({"out": 1})], {"traceparent": "tp"})
    assert (sent.id, sent.parent_id, sent.payload) == ("task", None, {"out": 1})
    assert sent.route == Route(("a", "b"), "c", ())
    assert sent.headers == {"kept": 2, "traceparent": "tp"}
    assert {key: sent.status[key] for key in ("phase", "actor", "attempt", "created_at", "deadline_at", "note")} == {
        "phase": "pending",
        "actor": "c",
        "attempt": 1,
        "created_at": "then",
        "deadline_at": DEADLINE,
        "note": "mine",
    }
    assert "redeliveries" not in sent.status
    assert destination(sent, "x-sink", "x-sump") == "c"


@pytest.mark.parametrize("came", [{}, {"x-asya-incarnation": "2.1/task"}])
@pytest.mark.parametrize("made", [{}, {"x-asya-incarnation": "1/task"}])
def test_a_handler_changes_no_incarnation(came: dict[str, str], made: dict[str, str]) -> None:
    frames = [Frame(1, Route(("a",), "b", ("c",)), {"kept": 2, **made}, {})] * 2
    for sent in forward(ENVELOPE.with_(headers=came), frames):
        assert sent.headers == {"kept": 2, **came}


def test_the_last_frame_goes_to_the_sink_as_succeeded() -> None:
    (sent,) = forward(ENVELOPE, [frame(following=())])
    assert (sent.route, sent.status["phase"]) == (Route(("a", "b"), "", ()), "succeeded")
    assert destination(sent, "x-sink", "x-sump") == "x-sink"


def test_no_frames_end_with_the_payload_and_route_that_came_in() -> None:
    (sent,) = forward(ENVELOPE, [])
    assert (sent.payload, sent.route, sent.status["phase"]) == ({"in": 1}, ENVELOPE.route, "succeeded")
    assert destination(sent, "x-sink", "x-sump") == "x-sink"


@given(st.integers(2, 20))
def test_a_redelivery_makes_the_same_children(count: int) -> None:
    first, second = (forward(ENVELOPE, [frame(number) for number in range(count)]) for _ in range(2))
    assert [sent.id for sent in first] == [sent.id for sent in second]
    assert len({sent.id for sent in first}) == count
    assert [sent.parent_id for sent in first] == [None] + ["task"] * (count - 1)


def test_ids_of_children_depend_on_envelope_hop_and_index() -> None:
    ids = {child_id(name, hop, index) for name in ("a", "a1") for hop in (1, 11) for index in (1, 11)}
    assert len(ids) == 8


def test_a_failure_keeps_route_and_payload_and_says_what_happened() -> None:
    """The message of a failure carries the headers, too."""
    sent = failed(ENVELOPE, FAILURE, "b", reason="PolicyExhausted", most_attempts=3)
    assert sent.route == ENVELOPE.route
    assert sent.headers == {"kept": 1}
    assert sent.payload["original_payload"] == {"in": 1}
    error = {"message": "it broke", "type": "mod.Error", "mro": ["Exception"], "traceback": "trace"}
    assert sent.status["error"] == error | {"class": "business"}
    status = {key: sent.status[key] for key in ("phase", "reason", "actor", "attempt", "max_attempts")}
    assert status == {"phase": "failed", "reason": "PolicyExhausted", "actor": "b", "attempt": 3, "max_attempts": 3}
    assert destination(sent, "x-sink", "x-sump") == "x-sump"


def test_a_rerouted_message_leaves_its_route_for_the_policys_actors() -> None:
    sent = rerouted(ENVELOPE, FAILURE, ("d", "e"))
    assert (sent.route, sent.payload) == (Route(("a", "b"), "d", ("e",)), {"in": 1})
    assert destination(sent, "x-sink", "x-sump") == "d"


def test_a_retry_is_the_same_message_with_its_attempt_raised() -> None:
    first_at = datetime(2026, 1, 1, tzinfo=UTC)
    again = retried(ENVELOPE, first_at, 5)
    assert (again.id, again.route, again.payload) == (ENVELOPE.id, ENVELOPE.route, ENVELOPE.payload)
    assert (again.attempt, again.status["max_attempts"], again.status["phase"]) == (4, 5, "retrying")
    assert again.headers["x-asya-first-attempt"] == "2026-01-01T00:00:00.000000Z"
    assert redeliveries_of(again) == 0


@pytest.mark.parametrize("value", [None, "3", -1, True, 1.5])
def test_an_invalid_count_counts_as_zero(value: object) -> None:
    assert redeliveries_of(ENVELOPE.with_(status={"redeliveries": value})) == 0

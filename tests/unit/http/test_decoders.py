"""For any input, the decoders return a value or raise one of the domain's errors, never another one."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from asya_crds import jsontext
from asya_crds.call_messages import AnswerJson, CallJson, CancelJson, RetryJson
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.unified_messages import UNIFIED_ENDS
from asya_gateway.domain.errors import GatewayError, InvalidInput
from asya_gateway.domain.reports import PauseReport, ProgressReport
from asya_gateway.protocols.http.bodies import as_object, decode
from asya_gateway.protocols.http.cursors import read_cursor
from asya_gateway.protocols.http.messages import read_closed
from asya_gateway.protocols.http.tracing import trace_headers
from asya_gateway.protocols.mesh.children import decode_child
from asya_gateway.protocols.mesh.finals import decode_final
from asya_gateway.protocols.mesh.hops import read_route, task_id_of
from asya_gateway.protocols.mesh.live import decode_fly
from asya_gateway.protocols.mesh.progress import decode_progress
from asya_gateway.protocols.rest.preferences import wait_seconds

TEXT = st.text(st.characters(exclude_categories=()))
"""Every code point, NUL and lone surrogates among them."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(
    ["received", "processing", "processed", "completed", "paused", "auth_required", "succeeded", "failed", "task", "a"]
)
NAMES = st.lists(WORDS | JSON, max_size=3)
CLAIM = st.fixed_dictionaries({}, optional={"hop": JSON, "attempt": JSON, "claimant": JSON})
PAUSE = st.fixed_dictionaries(
    {},
    optional={
        "prompt": JSON,
        "fields": st.lists(st.fixed_dictionaries({}, optional={"name": JSON, "type": JSON | WORDS, "options": JSON}))
        | JSON,
        "schema": JSON,
        "pause_id": JSON,
    },
)
ROUTES = {"prev": NAMES | JSON, "curr": JSON, "next": NAMES | JSON, "actors": NAMES | JSON, "current": JSON}
BODIES = st.one_of(
    st.fixed_dictionaries(
        {"status": WORDS | JSON},
        optional={
            **ROUTES,
            "id": WORDS | JSON,
            "message": JSON,
            "duration_ms": JSON,
            "claim": CLAIM | JSON,
            "frames": JSON,
        },
    ),
    st.fixed_dictionaries(
        {"status": WORDS | JSON},
        optional={**ROUTES, "pause_metadata": PAUSE | JSON, "pause_id": JSON, "checkpoint": JSON},
    ),
    st.fixed_dictionaries(
        {"status": WORDS | JSON},
        optional={
            "result": JSON,
            "error": JSON | PAUSE,
            "error_details": JSON | PAUSE,
            "current_actor_name": JSON,
            "attempts": JSON,
            "class": JSON | WORDS,
            "metadata": JSON,
        },
    ),
    st.fixed_dictionaries({"id": WORDS | JSON, "parent_id": WORDS | JSON}, optional={**ROUTES, "ends_itself": JSON}),
    st.fixed_dictionaries({}, optional={"name": JSON, "arguments": JSON, "payload": JSON}),
)

DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "progress": lambda body: decode_progress("task", body),
    "final": lambda body: decode_final("task", body),
    "unified final": lambda body: decode_final("task", body, ends=UNIFIED_ENDS),
    "child": decode_child,
    "fly": lambda body: decode_fly("task", body),
    "call": lambda body: read_closed(CallJson, body),
    "answer": lambda body: read_closed(AnswerJson, body),
    "cancel": lambda body: read_closed(CancelJson, body),
    "retry": lambda body: read_closed(RetryJson, body),
}


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@given(body=BODIES)
def test_any_json_object_is_decoded_or_refused(decoder: Callable[[dict[str, Any]], Any], body: dict[str, Any]) -> None:
    refusal = _refusal(lambda: decoder(body))
    assert refusal is None or (refusal.message and refusal.field), "a refusal says why, and names its field"


@given(data=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_one_json_document_or_refused(data: bytes) -> None:
    refusal = _refusal(lambda: as_object(decode(data)))
    assert refusal is None or refusal.message


def _refusal(decoding: Callable[[], Any]) -> GatewayError | None:
    try:
        decoding()
    except GatewayError as error:
        return error
    return None


@given(payload=JSON)
def test_live_events_keep_their_payload(payload: Any) -> None:
    kept = jsontext.loads(decode_fly("task", {"payload": payload} if isinstance(payload, dict) else payload).payload)
    assert kept == payload


@given(text=TEXT)
def test_any_cursor_is_read_or_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_cursor(text)


@given(values=st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)), max_size=3))
def test_any_trace_context_is_carried_or_dropped(values: list[str]) -> None:
    headers = CIMultiDict([("traceparent", value) for value in values] + [("tracestate", value) for value in values])
    assert trace_headers(CIMultiDictProxy(headers)) == {}


@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_preference_is_understood_or_ignored(value: str) -> None:
    seconds = wait_seconds(CIMultiDictProxy(CIMultiDict({"Prefer": value})), 60)
    assert seconds is None or 0 <= seconds <= 60


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("wait=5", 5), ("respond-async, wait=10", 10), ('WAIT="7"', 7), ("wait=1000", 60), ("wait=5;x=y, wait=9", 5)],
)
def test_a_wait_is_read_and_capped(value: str, seconds: float) -> None:
    """RFC 7240, section 2: 'If any preference is specified more than once, only the first instance is to be
    considered.' Section 4.3: wait = delta-seconds."""
    assert wait_seconds(CIMultiDictProxy(CIMultiDict({"Prefer": value})), 60) == seconds


@pytest.mark.parametrize("value", ["wait", "wait=", "wait=-1", "wait=1.5", "waiting=5", "x;wait=5"])
def test_an_invalid_wait_is_ignored(value: str) -> None:
    """RFC 7240, section 2: a server that does not recognize a preference 'should ignore' it."""
    assert wait_seconds(CIMultiDictProxy(CIMultiDict({"Prefer": value})), 60) is None


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("headers", "carried"),
    [
        ([("traceparent", PARENT)], {"traceparent": PARENT}),
        ([("traceparent", PARENT), ("tracestate", "a=1")], {"traceparent": PARENT, "tracestate": "a=1"}),
        (
            [("traceparent", PARENT), ("tracestate", "a=1 , b@v=2"), ("tracestate", "c=3")],
            {"traceparent": PARENT, "tracestate": "a=1,b@v=2,c=3"},
        ),
        ([("traceparent", PARENT), ("tracestate", "a=1,a=2")], {"traceparent": PARENT}),
        ([("traceparent", PARENT), ("tracestate", "A=1")], {"traceparent": PARENT}),
        ([("traceparent", PARENT), ("tracestate", ",".join(f"k{n}=v" for n in range(33)))], {"traceparent": PARENT}),
        ([("tracestate", "a=1")], {}),
        ([("traceparent", PARENT), ("traceparent", PARENT)], {}),
        ([("traceparent", PARENT.upper())], {}),
        ([("traceparent", PARENT + "-more")], {}),
        ([("traceparent", "01" + PARENT[2:] + "-more")], {"traceparent": "01" + PARENT[2:] + "-more"}),
        ([("traceparent", "ff" + PARENT[2:])], {}),
        ([("traceparent", PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32))], {}),
        ([("traceparent", PARENT.replace("b7ad6b7169203331", "0" * 16))], {}),
    ],
)
def test_trace_context_is_checked_as_the_recommendation_says(
    headers: list[tuple[str, str]], carried: dict[str, str]
) -> None:
    """W3C Trace Context, 3.2.2: all-zero ids are invalid, version ff is forbidden; 3.3.1: at most 32 members."""
    assert trace_headers(CIMultiDictProxy(CIMultiDict(headers))) == carried


@pytest.mark.parametrize("status", ["completed", "received", "nonsense", None])
def test_pause_metadata_makes_a_pause_whatever_the_status_says(status: str | None) -> None:
    """'it sends a second progress with status `completed` and `pause_metadata` (...): the gateway infers
    the pause from its presence.'"""
    body: dict[str, Any] = {
        "status": status,
        "prev": ["a", "x-pause"],
        "curr": "x-resume",
        "next": ["b"],
        "pause_metadata": {},
    }
    report = decode_progress("t", body)
    assert isinstance(report, PauseReport)
    assert (report.status, report.pause.id, report.checkpoint) == (TaskStatus.PAUSED, "hop-2", None)


def test_a_pause_carries_the_id_and_the_checkpoint_that_our_crew_gives_it() -> None:
    """Ours 'says `paused`, and adds `pause_id`, `schema?`, `data?` and the `checkpoint` envelope'."""
    metadata = {"prompt": "ok?", "fields": [], "schema": {"type": "boolean"}, "data": {"n": 2**63 + 1}}
    checkpoint = {"id": "t", "route": {"prev": ["a"], "curr": "", "next": []}, "payload": 1}
    body = {"status": "paused", "pause_id": "p-1", "pause_metadata": metadata, "checkpoint": checkpoint}
    report = decode_progress("t", body)
    assert isinstance(report, PauseReport)
    assert (report.pause.id, report.pause.schema, report.pause.data) == ("p-1", {"type": "boolean"}, {"n": 2**63 + 1})
    assert report.checkpoint == '{"id":"t","route":{"prev":["a"],"curr":"","next":[]},"payload":1}'


FIELDS_OF_AN_ORDER = [{"name": "ok", "payload_key": "/order/ok"}]


@pytest.mark.parametrize(
    ("checkpoint", "fields", "field", "says"),
    [
        ({"id": "t"}, [], "checkpoint", "route"),
        ({"route": {}}, [], "checkpoint", "id"),
        ({"id": "t", "route": {"next": "b"}}, [], "checkpoint", "route.next: expected a list of actor names"),
        ({"id": "t", "route": {}, "headers": []}, [], "checkpoint", "headers: expected an object"),
        ({"id": "t", "route": {}, "payload": "x"}, FIELDS_OF_AN_ORDER, "pause_metadata.fields", "to put order into"),
        ({"id": "t", "route": {}, "payload": []}, FIELDS_OF_AN_ORDER, "pause_metadata.fields", "no item order"),
    ],
)
def test_a_checkpoint_that_no_answer_could_resume_is_refused_before_anybody_is_asked(
    checkpoint: Any, fields: Any, field: str, says: str
) -> None:
    body = {"status": "paused", "pause_metadata": {"prompt": "?", "fields": fields}, "checkpoint": checkpoint}
    with pytest.raises(InvalidInput, match=says) as refused:
        decode_progress("t", body)
    assert refused.value.field == field


def test_a_checkpoint_is_taken_where_an_answer_may_leave_out_what_has_no_place() -> None:
    checkpoint = {"id": "t", "route": {}, "payload": "x"}
    pause = {"prompt": "?", "fields": [{"name": "ok", "required": False}]}
    report = decode_progress("t", {"status": "paused", "pause_metadata": pause, "checkpoint": checkpoint})
    assert isinstance(report, PauseReport)


def test_a_pause_of_a_task_whose_id_leaves_no_room_for_an_answer_is_refused() -> None:
    """The id of an answer's envelope is made from it, and would be no id."""
    longest = "t" * (255 - len("resume.999999-"))
    assert decode_progress(longest, {"status": "paused"}).task_id == longest
    with pytest.raises(InvalidInput, match="too long"):
        decode_progress(longest + "t", {"status": "paused"})


def test_a_claim_names_the_hop_as_text_or_number() -> None:
    body = {"status": "received", "curr": "a", "claim": {"hop": 0, "attempt": 1, "claimant": "w"}}
    report = decode_progress("t", body)
    assert isinstance(report, ProgressReport)
    assert report.claim is not None
    assert report.claim.hop == "0"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "running"}, "status"),
        ({"status": ["received"]}, "status"),
        ({"status": "received", "prev": "a"}, "prev"),
        ({"status": "received", "prev": ["a\0"]}, "prev[0]"),
        ({"status": "received", "next": [""]}, "next[0]"),
        ({"status": "received", "curr": "\ud800"}, "curr"),
        ({"status": "received", "curr": "a" * 256}, "curr"),
        ({"status": "received", "next": ["a"] * 1025}, "next"),
        ({"status": "received", "actors": ["a"], "current_actor_idx": 2}, "current_actor_idx"),
        ({"status": "received", "actors": ["a"], "current_actor_idx": True}, "current_actor_idx"),
        ({"status": "received", "message": 1}, "message"),
        ({"status": "received", "duration_ms": "1"}, "duration_ms"),
        ({"status": "received", "claim": {"hop": "0", "attempt": 0, "claimant": "w"}}, "claim.attempt"),
        ({"status": "received", "claim": {"hop": "0", "attempt": 1}}, "claim.claimant"),
        ({"status": "received", "frames": []}, "frames"),
        ({"status": "processed", "frames": [1]}, "frames"),
        ({"status": "completed", "pause_metadata": []}, "pause_metadata"),
        ({"status": "completed", "pause_metadata": {"fields": [{}]}}, "pause_metadata.fields[0]"),
        ({"status": "paused", "checkpoint": "x"}, "checkpoint"),
        ({"id": "other", "status": "received"}, "id"),
    ],
)
def test_a_bad_report_is_refused_by_its_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_progress("t", body)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("body", "error_class", "code"),
    [
        ({"error": "no", "error_details": {"message": "no", "type": "ValueError"}}, ErrorClass.BUSINESS, "actor_error"),
        ({"error": {"message": "no", "type": "ValueError"}}, ErrorClass.BUSINESS, "actor_error"),
        ({"error": "Runtime timeout exceeded"}, ErrorClass.RUNTIME, "runtime_error"),
        (
            {"error": "Message moved to DLQ after transport-level delivery failures"},
            ErrorClass.RUNTIME,
            "runtime_error",
        ),
        ({"error": "SLA deadline expired"}, ErrorClass.DEADLINE, "deadline_exceeded"),
        ({"error": "no", "class": "business"}, ErrorClass.BUSINESS, "actor_error"),
        ({}, ErrorClass.RUNTIME, "runtime_error"),
    ],
)
def test_a_failure_is_classified(body: dict[str, Any], error_class: ErrorClass, code: str) -> None:
    """The final reports that existing sidecars and the dead-letter worker send."""
    report = decode_final("t", {"status": "failed", **body})
    assert report.error is not None
    assert (report.error.error_class, report.error.code) == (error_class, code)
    assert report.error.message


@pytest.mark.parametrize("status", ["running", "paused", "canceled", None, 1, []])
def test_only_an_end_ends_a_task(status: Any) -> None:
    """Go final: other statuses 400."""
    with pytest.raises(InvalidInput, match="succeeded or failed"):
        decode_final("t", {"status": status})


def test_a_null_result_differs_from_a_missing_result() -> None:
    assert decode_final("t", {"status": "succeeded", "result": None}).result == "null"
    assert decode_final("t", {"status": "succeeded"}).result is None


def test_resume_ids_are_the_tasks() -> None:
    """Later reports carry **that** id, so the gateway aliases it to the task on every mesh route."""
    assert task_id_of("resume-t") == "t"
    assert task_id_of("resume-") == "resume-"
    assert decode_progress("t", {"id": "resume-t", "status": "received"}).task_id == "t"
    assert decode_child({"id": "resume-t-1", "parent_id": "resume-t"}).parent_id == "t"


def test_the_older_dialect_past_its_end_has_no_current_actor() -> None:
    route = read_route({"actors": ["a", "b"], "current_actor_idx": 2})
    assert (route.prev, route.curr, route.next) == (("a", "b"), "", ())

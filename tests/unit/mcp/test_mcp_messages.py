"""JSON-RPC messages, progress, wait limits, and what is made of live events."""

from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.log import read_entry
from asya_gateway.domain.task import FlyEvent, TaskUpdate
from asya_gateway.protocols.http.accept import AcceptedForms, read_accept
from asya_gateway.protocols.http.errors import NotAcceptable
from asya_gateway.protocols.http.jsonrpc import (
    InvalidRpcMessage,
    Notification,
    Request,
    Response,
    RpcError,
    error_text,
    parse_message,
    result_text,
)
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp.live_text import live_text
from asya_gateway.protocols.mcp.progress import Progress

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={"id": json_values, "method": json_values, "params": json_values, "result": json_values},
)


@given(json_values | messages)
def test_any_value_is_a_message_or_refused(value: Any) -> None:
    try:
        message = parse_message(value)
    except InvalidRpcMessage:
        return
    assert isinstance(message, Request | Notification | Response)


def test_a_request_keeps_its_id_and_params() -> None:
    value = {"jsonrpc": "2.0", "id": "a", "method": "m", "params": {"n": 1}}
    assert parse_message(value) == Request("a", "m", {"n": 1})


def test_an_error_without_an_id_leaves_it_out() -> None:
    assert error_text(RpcError(-1, "x"), None) == '{"jsonrpc":"2.0","error":{"code":-1,"message":"x"}}'
    assert (
        error_text(RpcError(-1, "x", {}), 0) == '{"jsonrpc":"2.0","id":0,"error":{"code":-1,"message":"x","data":{}}}'
    )


def test_a_result_is_put_in_as_it_is() -> None:
    assert result_text("1", '{"n":1e400}') == '{"jsonrpc":"2.0","id":"1","result":{"n":1e400}}'


def update(progress: float, **detail: Any) -> TaskUpdate:
    now = datetime.now(UTC)
    return TaskUpdate(
        "t", 1, UpdateKind.PROGRESS, TaskStatus.RUNNING, progress, now, read_entry(UpdateKind.PROGRESS, detail)
    )


def values_of(items: list[TaskUpdate | FlyEvent]) -> list[float]:
    progress = Progress("t")
    texts = [text for item in items if (text := progress.of(item)) is not None]
    return [jsontext.loads(text)["params"]["progress"] for text in texts]


@given(st.lists(st.floats(0, 100) | st.none(), max_size=60))
def test_progress_increases_strictly_whatever_the_log_says(steps: list[float | None]) -> None:
    """patterns/progress: the value must increase with each notification, even if the total is unknown."""
    events = [FlyEvent("t", "partial", '{"token":"x"}') if step is None else update(step) for step in steps]
    values = values_of(events)
    assert values == sorted(set(values))
    assert all(0 <= value <= 100 for value in values)


def test_a_thousand_tokens_do_not_look_like_a_finished_task() -> None:
    values = values_of([update(50), *[FlyEvent("t", "partial", '{"token":"x"}')] * 1000, update(60)])
    assert (len(values), values[-2] < 52, values[-1]) == (1002, True, 60)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ('{"token":"a"}', "a"),
        ('{"type":"text_delta","delta":{"text":"a"}}', "a"),
        ('{"message":{"role":"agent","parts":[{"text":"a"},{"text":"b"}]}}', "ab"),
        ('{"status_update":{"status":{"state":"WORKING","message":"busy"}}}', "busy"),
        ('{"artifact_update":{"artifact":{"artifact_id":"s","parts":[{"text":"x"}]}}}', "x"),
        ('{"picture":"aGk="}', None),
        ('{"text":""}', None),
        ("7", None),
        ('"bare"', "bare"),
        ("{", None),
        ("[" * 300 + "]" * 300, None),
    ],
)
def test_live_events_speak_in_any_of_their_shapes(payload: str, text: str | None) -> None:
    assert live_text(payload) == text


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        (None, AcceptedForms(json=True, stream=False)),
        ("*/*", AcceptedForms(json=True, stream=False)),
        ("application/json", AcceptedForms(json=True, stream=False)),
        ("Application/JSON;charset=utf-8 , TEXT/event-stream", AcceptedForms(json=True, stream=True)),
        ("text/event-stream;q=0.5", AcceptedForms(json=False, stream=True)),
        ("application/json, text/event-stream;q=0.0", AcceptedForms(json=True, stream=False)),
        ("application/json;q=x", AcceptedForms(json=True, stream=False)),
        ("text/html, */*;q=0.1", AcceptedForms(json=True, stream=False)),
        ("text/html, " * 100 + "text/event-stream", AcceptedForms(json=False, stream=True)),
    ],
)
def test_the_accept_header_is_read(accept: str | None, found: AcceptedForms) -> None:
    request = make_mocked_request("POST", "/mcp", headers={} if accept is None else {"Accept": accept})
    assert read_accept(request) == found


def test_a_client_that_takes_nothing_of_ours_is_refused() -> None:
    with pytest.raises(NotAcceptable):
        read_accept(make_mocked_request("POST", "/mcp", headers={"Accept": "text/html"}))


def test_a_wait_is_cut_short_when_the_pod_drains_and_never_made_longer() -> None:
    draining = False
    limit = WaitLimit(1000.0, drain_seconds=0.0, draining=lambda: draining)
    assert not limit.over
    draining = True
    assert limit.over
    assert WaitLimit(0.0, drain_seconds=1000.0, draining=lambda: True).over

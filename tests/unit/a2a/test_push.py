"""Push notifications without a network: what is sent, and what an answer says."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from asya_crds import jsontext
from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.destinations import Destination, HostSays
from asya_gateway.domain.log import FinalEntry, ProgressEntry
from asya_gateway.domain.task import TaskUpdate
from asya_gateway.outbound.client import OutboundResponse
from asya_gateway.protocols.a2a.dialects.push_checks import checked
from asya_gateway.protocols.a2a.errors import InvalidParams
from asya_gateway.protocols.a2a.model import PushConfig
from asya_gateway.protocols.a2a.push.channel import asked, judged
from asya_gateway.protocols.a2a.push.codecs import CODECS
from asya_gateway.protocols.a2a.push.rendering import headers, notifications, wants
from asya_gateway.protocols.a2a.push.secrets import Secrets
from asya_gateway.protocols.a2a.reading import Members
from tests.support.a2a import conforms

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)


def destination(dialect: str = "1.0", **options: Any) -> Destination:
    said = {"dialect": dialect, "contextId": "c", **options}
    return Destination("t", "a2a", "x", "o", "https://e.example/", "e.example", said)


def update(kind: UpdateKind, status: TaskStatus, seq: int = 3) -> TaskUpdate:
    final = kind is UpdateKind.FINAL
    entry = FinalEntry() if final else ProgressEntry()
    return TaskUpdate("t", seq, kind, status, 0.0, NOW, entry, f'{{"n":{2**60 + 1}}}' if final else None)


def answer(status: int, **more: str) -> OutboundResponse:
    return OutboundResponse(status, b"", CIMultiDictProxy(CIMultiDict(more)))


@pytest.mark.parametrize(
    ("kind", "status", "before", "wanted"),
    [
        (UpdateKind.CREATED, TaskStatus.PENDING, "", True),
        (UpdateKind.PROGRESS, TaskStatus.RUNNING, "pending", True),
        (UpdateKind.PROGRESS, TaskStatus.RUNNING, "running", False),
        (UpdateKind.PAUSED, TaskStatus.PAUSED, "running", True),
        (UpdateKind.ANSWERED, TaskStatus.PAUSED, "paused", False),
        (UpdateKind.RESUMED, TaskStatus.RUNNING, "paused", True),
        (UpdateKind.FINAL, TaskStatus.FAILED, "running", True),
    ],
)
def test_changes_of_state_are_pushed_and_progress_is_not(
    kind: UpdateKind, status: TaskStatus, before: str, wanted: bool
) -> None:
    assert wants(update(kind, status), before) is wanted


def test_an_end_is_two_events_in_1_0_and_one_task_before() -> None:
    end = update(UpdateKind.FINAL, TaskStatus.SUCCEEDED)
    made, status = notifications(destination(), end)
    assert (made.id, status.id, made.media_type) == ("t/3.1", "t/3.2", "application/a2a+json")
    for each in (made, status):
        conforms(jsontext.loads(each.body), "StreamResponse")
    assert str(2**60 + 1).encode() in made.body
    (task,) = notifications(destination("0.3"), end)
    conforms(jsontext.loads(task.body), "Task", "0.3")
    assert (task.id, task.media_type, str(2**60 + 1).encode() in task.body) == ("t/3", "application/json", True)
    (oldest,) = notifications(destination("0.1", taskId="own"), end)
    assert (oldest.id, jsontext.loads(oldest.body)["id"]) == ("t/3", "own")
    assert [each.id for each in notifications(destination(), update(UpdateKind.FINAL, TaskStatus.FAILED))] == ["t/3"]


def test_only_what_a_configuration_has_becomes_a_header() -> None:
    (notification,) = notifications(destination(), update(UpdateKind.CREATED, TaskStatus.PENDING))
    assert headers(destination(), Secrets(), notification) == {
        "Content-Type": "application/a2a+json",
        "A2A-Version": "1.0",
        "X-Asya-Event-Id": "t/3",
    }
    # Credentials need a scheme, and a scheme alone says nothing.
    assert "Authorization" not in headers(destination(scheme="Bearer"), Secrets(token="t"), notification)
    given = headers(destination(scheme="Basic"), Secrets("t", "YTpi"), notification)
    assert (given["Authorization"], given["X-A2A-Notification-Token"]) == ("Basic YTpi", "t")


@pytest.mark.parametrize(
    ("status", "problem", "permanent", "host"),
    [
        (200, None, False, HostSays.SOMETHING),
        (299, None, False, HostSays.SOMETHING),
        (100, "it answered 100", False, HostSays.SOMETHING),
        (404, "it answered 404", False, HostSays.SOMETHING),
        (410, "it answered 410: nothing more is wanted there", True, HostSays.SOMETHING),
        (413, "it answered 413", False, HostSays.SOMETHING),
        (429, "it answered 429", False, HostSays.NOTHING),
        (500, "it answered 500", False, HostSays.NOTHING),
    ],
)
def test_an_answer_is_judged_by_its_status(status: int, problem: str | None, permanent: bool, host: HostSays) -> None:
    outcome = judged(answer(status), NOW)
    assert (outcome.problem, outcome.permanent, outcome.wait, outcome.host) == (problem, permanent, 0.0, host)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("7", 7),
        (" 120 ", 120),
        ("-5", 0),
        ("1.5", 0),
        ("٣", 0),
        ("soon", 0),
        ("9" * 400, float("inf")),
        ("Mon, 30 Nov 2026 12:01:00 GMT", 60),
        ("Mon, 30 Nov 2026 11:59:00 GMT", 0),
        ("Mon, 30 Nov 99999 12:01:00 GMT", 0),
        ("Mon, 30 Nov 99999999999 12:01:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float) -> None:
    assert asked(text, NOW) == seconds


@pytest.mark.parametrize("dialect", CODECS)
@given(id=NAMES, token=VISIBLE | st.just(""), scheme=st.sampled_from(["Bearer", "basic", "x-own"]), credentials=VISIBLE)
def test_a_configuration_is_read_as_it_is_meant(
    dialect: str, id: str, token: str, scheme: str, credentials: str
) -> None:
    codec = CODECS[dialect]
    older = {"schemes": [scheme, "other"], "credentials": credentials}
    newest = {"scheme": scheme, "credentials": credentials}
    said = {"url": "https://e.example/", "id": id, "token": token}
    if dialect == "1.0":
        read = codec.read_set({**said, "taskId": "t", "authentication": newest})
    else:
        read = codec.read_set({"id": "t", "taskId": "t", "pushNotificationConfig": {**said, "authentication": older}})
    assert (read.task_id, read.config) == ("t", PushConfig("https://e.example/", id, token, scheme, credentials))
    shown = jsontext.dumps(codec.config("t", PushConfig("https://e.example/", id, scheme=scheme)))
    assert '"credentials"' not in shown
    assert '"token"' not in shown


@given(st.text(min_size=1))
def test_no_token_breaks_the_header_that_it_becomes(text: str) -> None:
    fits = text.isascii() and text.isprintable() and text == text.strip()
    config = PushConfig("https://e.example/", token=text)
    with contextlib.nullcontext() if fits else pytest.raises(InvalidParams, match="token: expected"):
        assert checked(config, Members({}), "authentication.scheme") is config

"""Errors of the HTTP+JSON binding (specification 1.0, section 11.6)."""

from typing import Any

import pytest

from tests.support.a2a import rest, text_message
from tests.support.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("pageSize=0", "pageSize"),
        ("pageSize=101", "pageSize"),
        ("pageSize=ten", "pageSize"),
        ("page_size=1&pageSize=2", "pageSize"),
        ("pageSize=1&pageSize=1", "pageSize"),
        ("pageSize=%C2%B2", "pageSize"),
        ("historyLength=-1", "historyLength"),
        ("historyLength=99999999999999", "historyLength"),
        ("status=working", "status"),
        ("statusTimestampAfter=now", "statusTimestampAfter"),
        ("includeArtifacts=1", "includeArtifacts"),
        ("pageToken=x", "pageToken"),
    ],
)
async def test_a_wrong_parameter_is_named(standing: Gateway, query: str, field: str) -> None:
    answer = await rest(standing, "GET", f"/tasks?{query}")
    assert (answer.status, answer.reason, answer.fields) == (400, "INVALID_PARAMS", [field])
    assert answer.body["error"]["status"] == "INVALID_ARGUMENT"


REFUSED: list[tuple[str, str, Any, dict[str, str], int, str]] = [
    ("POST", "/echo/message:send", b"{", {}, 400, "PARSE_ERROR"),
    ("POST", "/echo/message:send", b"", {}, 400, "PARSE_ERROR"),
    ("POST", "/echo/message:send", [], {}, 400, "INVALID_PARAMS"),
    ("POST", "/echo/message:send", {}, {}, 400, "INVALID_PARAMS"),
    ("POST", "/echo/message:stream", {"message": {"role": "ROLE_USER"}}, {}, 400, "INVALID_PARAMS"),
    ("POST", "/nobody/message:send", {"message": text_message("x")}, {}, 400, "INVALID_PARAMS"),
    ("POST", "/message:send", {"message": text_message("x", taskId="nobody")}, {}, 404, "TASK_NOT_FOUND"),
    ("GET", "/tasks/nobody", None, {}, 404, "TASK_NOT_FOUND"),
    ("GET", "/tasks/nobody%3Asubscribe", None, {}, 404, "TASK_NOT_FOUND"),
    ("POST", "/tasks/nobody:subscribe", None, {}, 404, "TASK_NOT_FOUND"),
    ("POST", "/tasks/nobody:cancel", b"", {}, 404, "TASK_NOT_FOUND"),
    ("POST", "/tasks/nobody:cancel", b"[]", {}, 400, "INVALID_PARAMS"),
    ("GET", f"/tasks/{'x' * 300}", None, {}, 400, "INVALID_PARAMS"),
    ("GET", "/nobody/tasks", None, {}, 400, "INVALID_PARAMS"),
    ("GET", "/tasks", None, {"A2A-Version": "0.3"}, 400, "VERSION_NOT_SUPPORTED"),
    ("GET", "/tasks", None, {"A2A-Version": "2.0"}, 400, "VERSION_NOT_SUPPORTED"),
    ("GET", "/tasks?A2A-Version=9", None, {"A2A-Version": ""}, 400, "VERSION_NOT_SUPPORTED"),
    ("GET", "/extendedAgentCard", None, {}, 400, "UNSUPPORTED_OPERATION"),
    (
        "POST",
        "/echo/message:send",
        {"message": text_message("x")},
        {"Idempotency-Key": "k" * 300},
        400,
        "INVALID_PARAMS",
    ),
    ("GET", "/tasks", None, {"Host": "elsewhere.example"}, 421, "MISDIRECTED"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "reason"),
    REFUSED,
    ids=[f"{method} {path[:30]} {reason} {number}" for number, (method, path, *_, reason) in enumerate(REFUSED)],
)
async def test_an_error_has_the_form_of_aip_193(
    standing: Gateway, method: str, path: str, body: Any, headers: dict[str, str], status: int, reason: str
) -> None:
    """11.6: 'error' with code, status, message and details, the first of which is an ErrorInfo."""
    answer = await rest(standing, method, path, body, **headers)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.headers["A2A-Version"] == "1.0"

"""What every answer must be, whatever was sent."""

import json
from dataclasses import dataclass
from typing import Any

from tests.protocol.mcp.fuzz.model import SESSION, Open, Refusal, Sessions, status_of_get, verdict
from tests.support.fuzzing import Sent
from tests.support.mcp import EXT_TASKS, LATEST, validator

STATUS_OF = {
    -32700: {400}, -32600: {400, 403, 405, 406, 408, 413, 415, 421}, -32601: {404}, -32602: {400, 200}, -32020: {400},
    -32021: {400}, -32022: {400}, -32603: {200},
}  # fmt: skip
"""HTTP statuses of the stateless revision (basic, "Error Codes")."""
RESULTS = {
    "server/discover": "DiscoverResult", "tools/list": "ListToolsResult", "prompts/list": "ListPromptsResult",
    "resources/list": "ListResourcesResult", "resources/templates/list": "ListResourceTemplatesResult",
    "completion/complete": "CompleteResult", "resources/read": "ReadResourceResult", "prompts/get": "GetPromptResult",
}  # fmt: skip
OF_TASKS = {"tasks/get": "GetTaskResult", "tasks/update": "UpdateTaskResult", "tasks/cancel": "CancelTaskResult"}
"""Results of the extension for tasks."""


@dataclass(frozen=True)
class Got:
    """A response: its status, and every message in it. None: a stream that was left open on purpose."""

    status: int
    content_type: str
    messages: list[Any]


def judge(sent: Sent, raw: bytes, got: Got, sessions: Sessions) -> None:
    """Fails for an answer that no request may get, and for one that this request must not get."""
    assert got.status < 500, (got.status, got.messages)
    if sent.path != "/mcp":
        # What is answered stands on the stream. A body that was taken is a message, whatever its method says of it.
        assert got.status in ({202, 400, 404, 413, 415} if sent.verb == "POST" else {200, 204, 404, 405}), got
        return
    if sent.verb == "GET" and (statuses := status_of_get(sent, sessions)) is not None:
        assert got.status in statuses, got
    # Other answers to other verbs have the form of HTTP's own errors.
    protocols_own = sent.verb == "POST" or got.content_type == "text/event-stream"
    for each in got.messages if protocols_own else ():
        for message in each if isinstance(each, list) else [each]:
            check_message(message, in_session=bool(sent.all(SESSION)))
    if sent.verb != "POST":
        return
    expected = verdict(sent, raw, sessions)
    if isinstance(expected, Refusal):
        assert got.messages, got
        error = got.messages[-1].get("error", {})
        assert (error.get("code"), got.status) == (expected.code, expected.status), got
        _check_id(raw, got.messages[-1])
    elif isinstance(expected, Open) and expected.stateless:
        _check_stateless(expected.message, got)
    elif isinstance(expected, Open):
        assert got.status in (200, 202, 400), got


def check_message(message: Any, *, in_session: bool) -> None:
    """Fails for a message that no client may get. Only sessions have requests to clients."""
    assert isinstance(message, dict), message
    assert message.get("jsonrpc") == "2.0"
    error = message.get("error")
    if error is not None:
        assert error["code"] not in (-32042,), message
        assert "Traceback" not in error["message"]
        assert error["message"] != "Internal error"
        assert len(error["message"]) <= 4000
    elif "method" in message and not message["method"].startswith("notifications/"):
        assert in_session, message


def _check_stateless(request: dict[str, Any], got: Got) -> None:
    if not got.messages:
        assert request["method"] == "subscriptions/listen", got
        return
    last = got.messages[-1]
    if "error" in last:
        _valid("JSONRPCErrorResponse", last)
        assert last["error"]["code"] in STATUS_OF, last
        assert got.status in STATUS_OF[last["error"]["code"]], got
        assert last["id"] == request["id"]
        assert type(last["id"]) is type(request["id"])
    elif "result" in last:
        assert got.status == 200
        assert last["id"] == request["id"]
        kind = last["result"]["resultType"]
        if kind == "input_required":
            assert request["method"] in ("tools/call", "prompts/get", "resources/read")
            _valid("InputRequiredResult", last["result"])
        elif kind == "task":
            assert request["method"] == "tools/call"
            _valid("CreateTaskResult", last["result"], EXT_TASKS)
        elif request["method"] in OF_TASKS:
            _valid(OF_TASKS[request["method"]], last["result"], EXT_TASKS)
        elif kind == "complete" and request["method"] in RESULTS:
            _valid(RESULTS[request["method"]], last["result"])


def _check_id(raw: bytes, answer: dict[str, Any]) -> None:
    """basic, "Responses": the id is the request's, and is left out where it could not be read."""
    try:
        id = json.loads(raw.decode()).get("id")
    except (ValueError, AttributeError, RecursionError):
        id = None
    if isinstance(id, str | int) and not isinstance(id, bool) and "id" in answer:
        assert answer["id"] == id
    else:
        assert "id" not in answer, answer


def _valid(definition: str, value: Any, version: str = LATEST) -> None:
    errors = [error.message for error in validator(version, definition).iter_errors(value)]
    assert not errors, (definition, errors, value)

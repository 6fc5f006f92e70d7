"""Every message of an answer, held against the schemas of its revision."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.protocol.mcp.fuzz.conversations import HANDSHAKE
from tests.support.mcp import EXT_TASKS, LATEST, validator

RESULTS = {
    "initialize": "InitializeResult", "server/discover": "DiscoverResult", "ping": "EmptyResult",
    "tools/list": "ListToolsResult", "prompts/list": "ListPromptsResult", "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult", "tools/call": "CallToolResult",
    "prompts/get": "GetPromptResult", "resources/read": "ReadResourceResult", "completion/complete": "CompleteResult",
    "logging/setLevel": "EmptyResult", "resources/subscribe": "EmptyResult", "resources/unsubscribe": "EmptyResult",
    "subscriptions/listen": "SubscriptionsListenResult", "tasks/list": "ListTasksResult",
    "tasks/get": "GetTaskResult", "tasks/update": "UpdateTaskResult", "tasks/cancel": "CancelTaskResult",
    "tasks/result": "CallToolResult",
}  # fmt: skip
"""The result of a task is that of its call."""
ASKING = ("tools/call", "prompts/get", "resources/read")
"""Requests that may be answered with inputs that are required (2026-07-28, patterns/mrtr)."""
REQUESTS = {
    "elicitation/create": "ElicitRequest",
    "sampling/createMessage": "CreateMessageRequest",
    "roots/list": "ListRootsRequest",
}
NOTIFICATIONS = {
    "notifications/progress": "ProgressNotification",
    "notifications/message": "LoggingMessageNotification",
    "notifications/cancelled": "CancelledNotification",
    "notifications/tools/list_changed": "ToolListChangedNotification",
    "notifications/prompts/list_changed": "PromptListChangedNotification",
    "notifications/resources/list_changed": "ResourceListChangedNotification",
    "notifications/resources/updated": "ResourceUpdatedNotification",
    "notifications/subscriptions/acknowledged": "SubscriptionsAcknowledgedNotification",
    "notifications/elicitation/complete": "ElicitationCompleteNotification",
    "notifications/tasks/status": "TaskStatusNotification",
    "notifications/tasks": "TaskStatusNotification",
}
OF_EXTENSION = {"tasks/get", "tasks/update", "tasks/cancel", "notifications/tasks"}
"""What the extension for tasks defines, and not the revision."""


class Asked:
    """The methods of requests by their ids, which a mutation may have used twice."""

    def __init__(self) -> None:
        self._methods: dict[tuple[type, Any], set[str]] = defaultdict(set)

    def note(self, value: Any) -> None:
        """A message, or a batch of them, as it is sent."""
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and isinstance(each.get("id"), str | int) and isinstance(each.get("method"), str):
                self._methods[type(each["id"]), each["id"]].add(each["method"])

    def methods(self, id: Any) -> set[str]:
        """Those of the requests with this id."""
        return self._methods.get((type(id), id), set())


def check_valid(message: Mapping[str, Any], asked: Asked, versions: Iterable[str]) -> None:
    """Fails for a message that breaks its schema in every one of these revisions, of which the answer has one."""
    found = {version: [*_violations(message, asked, version)] for version in versions}
    assert any(not violations for violations in found.values()), (found, message)


def _violations(message: Mapping[str, Any], asked: Asked, version: str) -> Iterator[str]:
    if "error" in message:
        # Before 2025-11-25 the schema had no error for a message whose id cannot be read.
        return _broken(_error(version), {"id": 0, **message}, version)
    if "method" in message:
        return _of_method(message, version)
    return _of_result(message, asked, version)


def _error(version: str) -> str:
    return "JSONRPCErrorResponse" if version >= "2025-11-25" else "JSONRPCError"


def _of_method(message: Mapping[str, Any], version: str) -> Iterator[str]:
    method = message["method"]
    known = REQUESTS if "id" in message else NOTIFICATIONS
    if method not in known:
        return iter([f"nobody may send {method}"])
    return _broken(known[method], message, _schema_of(method, version))


def _of_result(message: Mapping[str, Any], asked: Asked, version: str) -> Iterator[str]:
    methods = asked.methods(message.get("id"))
    if not methods:
        return iter([f"nobody asked {message.get('id')!r}"])
    found = [[*_of_one(method, message["result"], version)] for method in sorted(methods)]
    fewest: list[str] = min(found, key=len)
    return iter(fewest)


def _of_one(method: str, result: Any, version: str) -> Iterator[str]:
    if method not in RESULTS:
        return iter([f"{method} has no result"])
    kind = result.get("resultType") if version == LATEST else None
    if kind == "input_required" and method in ASKING:
        return _broken("InputRequiredResult", result, version)
    if kind == "task" and method == "tools/call":
        return _broken("CreateTaskResult", result, EXT_TASKS)
    if version == "2025-11-25" and method == "tools/call" and "task" in result:
        return _broken("CreateTaskResult", result, version)
    return _broken(RESULTS[method], result, _schema_of(method, version))


def _schema_of(method: str, version: str) -> str:
    return EXT_TASKS if version == LATEST and method in OF_EXTENSION else version


def _broken(definition: str, value: Any, version: str) -> Iterator[str]:
    try:
        schema = validator(version, definition)
    except ValueError:
        yield f"{version} has no {definition}"
        return
    yield from (f"{definition}: {error.message}" for error in schema.iter_errors(value))


def versions_of(headers: Iterable[str], session: str | None) -> tuple[str, ...]:
    """The revisions of which an answer to a message of a client with a handshake may be: that of its header, else that
    of its session, else the one that had no header. The answer to `initialize`, and the stream of a call that was made
    under another header, may be of any."""
    named = [version for version in headers if version in HANDSHAKE]
    if named:
        return tuple(named)
    return (session,) if session in HANDSHAKE else ("2025-03-26",)

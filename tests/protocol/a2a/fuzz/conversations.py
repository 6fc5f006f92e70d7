"""Valid requests of each method, which mutations begin with."""

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from asya_gateway.protocols.a2a.dialects.known import METHODS, Operation
from tests.support.a2a import envelope
from tests.support.fuzzing import Sent, byte_mutation, json_mutation

ENDED, ASKS, OPEN = "<ended>", "<asks>", "<open>"
"""Names in place of tasks that only a running gateway has, so that the same examples are tried each time."""
ENDPOINT = "/a2a/echo"
CONFIG = {"taskId": OPEN, "url": "https://hooks.example/a", "token": "t"}
OLD_CONFIG = {"taskId": OPEN, "pushNotificationConfig": {"url": "https://hooks.example/a", "token": "t"}}


def conversation() -> list[Sent]:
    """A request of each method, and messages of each kind."""
    return [*_calls(), *_rest(), *_older_rest()]


def _calls() -> Iterator[Sent]:
    for method, (dialect, operation) in METHODS.items():
        version = (("A2A-Version", dialect.name),) if dialect.newest else ()
        for params in _params(dialect.name, operation):
            yield Sent(version, envelope(method, params), path=ENDPOINT)


def _params(version: str, operation: Operation) -> list[Any]:
    match operation:
        case Operation.SEND | Operation.STREAM:
            return list(_messages(version))
        case Operation.GET | Operation.CANCEL | Operation.SUBSCRIBE:
            return [{"id": OPEN}, {"id": ENDED, "historyLength": 1}]
        case Operation.LIST:
            return [{"contextId": "c", "pageSize": 2, "status": _working(version), "includeArtifacts": True}]
        case Operation.SET_PUSH:
            return [CONFIG if version == "1.0" else OLD_CONFIG]
        case Operation.GET_PUSH | Operation.DELETE_PUSH:
            return [{"taskId": OPEN, "id": "x"} if version == "1.0" else {"id": OPEN, "pushNotificationConfigId": "x"}]
        case Operation.LIST_PUSH:
            return [{"taskId": OPEN} if version == "1.0" else {"id": OPEN}]
        case Operation.EXTENDED_CARD:
            return [{}]


def _working(version: str) -> str:
    return "TASK_STATE_WORKING" if version == "1.0" else "working"


def _messages(version: str) -> Iterator[dict[str, Any]]:
    for parts in _parts(version):
        for about in ({}, {"taskId": ASKS, "contextId": "chat"}, {"contextId": "c", "referenceTaskIds": [ENDED]}):
            yield _message(version, parts, about)


def _parts(version: str) -> list[list[dict[str, Any]]]:
    if version == "1.0":
        raw = {"raw": "aGk=", "mediaType": "image/png", "filename": "a"}
        return [[{"text": "hi"}], [{"data": {"n": 1}}, raw], [{"url": "https://files.example/a", "metadata": {"k": 1}}]]
    kind = "kind" if version == "0.3" else "type"
    file = {kind: "file", "file": {"bytes": "aGk=", "mimeType": "image/png", "name": "a"}}
    return [[{kind: "text", "text": "hi"}], [{kind: "data", "data": {"n": 1}}, file]]


def _message(version: str, parts: list[dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    if version == "1.0":
        message = {"messageId": "m", "role": "ROLE_USER", "parts": parts, "metadata": {"k": [1]}, **about}
        return {"message": message, "configuration": {"returnImmediately": True, "historyLength": 1}}
    if version == "0.3":
        message = {"kind": "message", "messageId": "m", "role": "user", "parts": parts, **about}
        return {"message": message, "configuration": {"blocking": False, "acceptedOutputModes": ["text/plain"]}}
    return {"id": "own", "sessionId": "s", "message": {"role": "user", "parts": parts}, "historyLength": 1}


def _rest() -> Iterator[Sent]:
    version = (("A2A-Version", "1.0"),)
    for params in _messages("1.0"):
        yield Sent(version, params, path=f"{ENDPOINT}/message:send")
        yield Sent(version, params, path=f"{ENDPOINT}/message:stream")
    for task in (OPEN, ENDED):
        yield Sent(version, {}, path=f"{ENDPOINT}/tasks/{task}:cancel")
        yield Sent(version, {}, path=f"{ENDPOINT}/tasks/{task}:subscribe")
        yield Sent(version, None, verb="GET", path=f"{ENDPOINT}/tasks/{task}?historyLength=1")
    yield Sent(version, None, verb="GET", path=f"{ENDPOINT}/tasks?pageSize=2&status=TASK_STATE_WORKING&pageToken=")
    yield Sent(version, CONFIG, path=f"{ENDPOINT}/tasks/{OPEN}/pushNotificationConfigs")
    yield Sent(version, None, verb="GET", path=f"{ENDPOINT}/tasks/{OPEN}/pushNotificationConfigs/x")
    yield Sent(version, None, verb="DELETE", path=f"{ENDPOINT}/tasks/{OPEN}/pushNotificationConfigs/x")


def _older_rest() -> Iterator[Sent]:
    """The paths and names of 0.3, as its proto has them."""
    file = {"file": {"fileWithBytes": "aGk=", "mimeType": "image/png", "name": "a"}}
    for content in ([{"text": "hi"}], [{"data": {"data": {"n": 1}}}, file]):
        message = {"messageId": "m", "role": "ROLE_USER", "content": content, "contextId": "c"}
        for verb in ("send", "stream"):
            params = {"message": message, "configuration": {"blocking": False, "historyLength": 1}}
            yield Sent((), params, path=f"{ENDPOINT}/v1/message:{verb}")
    for task in (OPEN, ENDED):
        yield Sent((), {"name": f"tasks/{task}"}, path=f"{ENDPOINT}/v1/tasks/{task}:cancel")
        yield Sent((), {}, path=f"{ENDPOINT}/v1/tasks/{task}:subscribe")
        yield Sent((), None, verb="GET", path=f"{ENDPOINT}/v1/tasks/{task}?historyLength=1")
    yield Sent((), None, verb="GET", path=f"{ENDPOINT}/v1/tasks?pageSize=2")


HEADERS = ["A2A-Version", "A2A-Extensions", "Content-Type", "Accept", "Last-Event-ID", "Idempotency-Key", "traceparent"]
TEXTS = [
    "",
    "1.0",
    "0.3",
    "1",
    "2.0",
    "1.0.0",
    "x",
    "0.3, 1.0",
    "text/event-stream",
    "application/a2a+json",
    "1.1",
    "9",
]
PATHS = ["/a2a/", "/a2a", "/a2a/v1", "/a2a/nobody", "/a2a/numbers", "/a2a/%00", "/a2a/%ED%A0%80", "/a2a/tasks/%00"]
NAMES = [
    "id", "method", "params", "jsonrpc", "message", "messageId", "taskId", "contextId", "role", "parts", "content",
    "kind", "text", "raw", "url", "data", "file", "metadata", "skill", "extensions", "referenceTaskIds", "tenant",
    "configuration", "historyLength", "blocking", "returnImmediately", "pushNotificationConfig", "pageSize",
    "taskPushNotificationConfig", "pageToken", "status", "authentication", "schemes", "scheme", "credentials",
    "token", "sessionId", "inputs",
]  # fmt: skip
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=10))
QUERIES = [
    "",
    "?A2A-Version=1.0",
    "?A2A-Version=7",
    "?pageSize=0",
    "?pageSize=%00",
    "?pageToken=W10",
    "?historyLength=x",
]


@st.composite
def mutated(draw: st.DrawFn, valid: list[Sent]) -> Sent:
    """A valid request with one to three mutations of its JSON, its headers or its path, or of its bytes."""
    sent = draw(st.sampled_from(valid))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        match draw(st.sampled_from(["json", "json", "json", "header", "path"])):
            case "json":
                sent = draw(json_mutation(sent, names))
            case "header":
                header = (draw(st.sampled_from(HEADERS)), draw(st.sampled_from(TEXTS)))
                sent = _with(sent, headers=(*sent.headers, header))
            case _:
                base = draw(st.sampled_from([sent.path.partition("?")[0], *PATHS]))
                sent = _with(sent, path=base + draw(st.sampled_from(QUERIES)))
    if draw(st.integers(0, 9)) == 0:
        return draw(byte_mutation(sent))
    return sent


def _with(sent: Sent, *, headers: Any = None, path: str | None = None) -> Sent:
    return Sent(headers or sent.headers, sent.body, sent.verb, sent.raw, path or sent.path)

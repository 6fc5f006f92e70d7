"""Valid messages of every revision, which mutations begin with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.asking import ALICE, EVERYTHING
from tests.support.fuzzing import Sent
from tests.support.mcp import BOTH, LATEST, TASKS_DECLARED, message, stateless_body, stateless_headers

SET = "everything"
"""The name of a tool set with every flow."""
HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
REVISIONS = (LATEST, *HANDSHAKE)


@dataclass(frozen=True)
class Known:
    """What stands in the gateway: a requestState of the flow `name`, a task that has ended, and for each revision with
    a handshake a session, a second one that may be ended, the id of an event of it (of no event in 2024-11-05, whose
    events have none), and that of an open request of the gateway."""

    state: str
    task_id: str
    sessions: Mapping[str, str]
    others: Mapping[str, str]
    event_ids: Mapping[str, str]
    server_requests: Mapping[str, str]
    sse: str
    """The session of an open stream of HTTP+SSE."""

    def texts(self) -> list[str]:
        """All of them, in a fixed order."""
        maps = (self.sessions, self.others, self.event_ids, self.server_requests)
        return [self.state, self.task_id, self.sse, *(each[version] for each in maps for version in HANDSHAKE)]


def selections(flows: Sequence[str]) -> list[str]:
    """URLs that show what /mcp shows, as long as these are all flows."""
    names = ",".join(flows)
    return [f"/mcp/{SET}", f"/mcp?flows={names}", f"/mcp/{SET}?flows={names}"]


def named() -> Known:
    """Names in place of what only a running gateway has, so that the same examples are tried each time."""

    def of(kind: str) -> dict[str, str]:
        return {version: f"<{kind}-{version}>" for version in HANDSHAKE}

    return Known("<state>", "<task>", of("session"), of("other"), of("event"), of("request"), "<sse>")


def conversation(known: Known) -> list[Sent]:
    """Valid requests of each kind."""
    return [
        *_stateless(known.state, known.task_id),
        *(sent for version in HANDSHAKE for sent in _after_handshake(version, known.task_id)),
        *(sent for version in HANDSHAKE for sent in _in_session(version, known)),
        Sent((("Accept", BOTH),), _BATCH),
        *_over_sse(known),
    ]


def _stateless(state: str, task_id: str) -> Iterator[Sent]:
    capable = {"io.modelcontextprotocol/clientCapabilities": EVERYTHING}
    tasked = {"io.modelcontextprotocol/clientCapabilities": {**EVERYTHING, **TASKS_DECLARED}}
    changes = {"toolsListChanged": True, "resourceSubscriptions": [f"asya://tasks/{task_id}"], "taskIds": [task_id]}
    answers = {"inputResponses": {"user_name": ALICE}}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("server/discover", {}),
        ("tools/list", {}),
        ("tools/list", {"cursor": "tools.bmFtZQ=="}),
        ("tools/call", {"name": "anything", "arguments": {"n": 1}}),
        ("tools/call", {"name": "shout", "arguments": {"text": "hi"}, "_meta": {"progressToken": "t"}}),
        ("tools/call", {"name": "name", "arguments": {}, "_meta": capable}),
        ("tools/call", {"name": "several", "arguments": {"who": "x"}, **answers, "_meta": capable}),
        ("tools/call", {"name": "name", "arguments": {}, **answers, "requestState": state, "_meta": capable}),
        ("tools/call", {"name": "tasked", "arguments": {}, "_meta": tasked}),
        ("prompts/list", {}),
        ("prompts/get", {"name": "greeting", "arguments": {"who": "x", "language": "english"}}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        *(("resources/read", {"uri": uri}) for uri in _uris(task_id)),
        *(("completion/complete", each) for each in _COMPLETIONS),
        ("subscriptions/listen", {"notifications": changes, "_meta": tasked}),
        ("tasks/get", {"taskId": task_id, "_meta": tasked}),
        ("tasks/update", {"taskId": task_id, "inputResponses": {"answer": ALICE}, "_meta": tasked}),
        ("tasks/cancel", {"taskId": task_id, "_meta": tasked}),
    ]
    for method, params in requests:
        body = stateless_body(method, params)
        yield Sent(tuple(stateless_headers(body).items()), body)
    notification = stateless_body("notifications/cancelled", {"requestId": 1})
    del notification["id"]
    yield Sent(tuple(stateless_headers(notification).items()), notification)


def _uris(task_id: str) -> list[str]:
    """Resources that exist, and one that does not."""
    own = f"asya://tasks/{task_id}"
    return ["docs://handbook", "crm://eu/customers/7", own, f"{own}/result", "file:///a"]


_COMPLETIONS: list[dict[str, Any]] = [
    {"ref": {"type": "ref/prompt", "name": "derived_prompt"}, "argument": {"name": "loud", "value": "t"}},
    {
        "ref": {"type": "ref/resource", "uri": "crm://{region}/customers/{id}"},
        "argument": {"name": "region", "value": ""},
        "context": {"arguments": {"id": "7"}},
    },
]
_CLIENT = {"capabilities": {"elicitation": {}}, "clientInfo": {"name": "fuzz", "version": "1"}}
_BATCH = [message("ping", id=1), message("tools/list", id=2), {"jsonrpc": "2.0", "method": "notifications/x"}]


def _over_sse(known: Known) -> Iterator[Sent]:
    """Messages beside a stream of 2024-11-05 (transports, "HTTP with SSE"), which are answered there."""
    hello = {"protocolVersion": "2024-11-05", **_CLIENT}
    for body in (
        message("initialize", hello),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        message("tools/call", {"name": "anything", "arguments": {"n": 1}}, "sse"),
        message("tools/list", {}),
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "sse"}},
        {"jsonrpc": "2.0", "id": "x", "result": {}},
    ):
        yield Sent((), body, path=f"/mcp/messages?session_id={known.sse}")


def _after_handshake(version: str, task_id: str) -> Iterator[Sent]:
    headers = (("Accept", BOTH), ("MCP-Protocol-Version", version))
    yield Sent((("Accept", BOTH),), message("initialize", {"protocolVersion": version, **_CLIENT}))
    requests: list[Mapping[str, Any]] = [
        message("ping"),
        message("tools/list", {"cursor": "tools.bmFtZQ=="}),
        message("tools/call", {"name": "anything", "arguments": {"n": 1}}, "one"),
        message("tools/call", {"name": "name", "arguments": {"input": {"user_name": ALICE}}}, 2),
        message("tools/call", {"name": "anything", "arguments": {}, "task": {"ttl": 60_000}}, 3),
        *(message("resources/read", {"uri": uri}) for uri in _uris(task_id)),
        message("prompts/get", {"name": "greeting", "arguments": {"who": "x"}}),
        *(message("completion/complete", each) for each in _COMPLETIONS),
        message("tasks/list", {}),
        message("tasks/get", {"taskId": task_id}),
        message("tasks/result", {"taskId": task_id}),
        message("logging/setLevel", {"level": "info"}),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "one"}},
        {"jsonrpc": "2.0", "id": 9, "result": ALICE},
    ]
    for body in requests:
        yield Sent(headers, body)


def _in_session(version: str, known: Known) -> Iterator[Sent]:
    session = ("Mcp-Session-Id", known.sessions[version])
    headers = (("Accept", BOTH), ("MCP-Protocol-Version", version), session)
    requests: list[Any] = [
        message("ping"),
        message("tools/call", {"name": "anything", "arguments": {"n": 1}, "_meta": {"progressToken": 1}}, "one"),
        message("tools/call", {"name": "name", "arguments": {}}, "asks"),
        message("logging/setLevel", {"level": "info"}),
        message("resources/subscribe", {"uri": f"asya://tasks/{known.task_id}"}),
        message(
            "prompts/get", {"name": "greeting", "arguments": {"who": "x"}, "_meta": {"progressToken": 2}}, "prompt"
        ),
        message("tasks/cancel", {"taskId": known.task_id}),
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "asks"}},
        {"jsonrpc": "2.0", "id": known.server_requests[version], "result": ALICE},
        {"jsonrpc": "2.0", "id": known.server_requests[version], "error": {"code": -1, "message": "no"}},
    ]
    if version == "2025-03-26":
        requests.append(_BATCH)
    for body in requests:
        yield Sent(headers, body)
    reading = (("Accept", "text/event-stream"), ("MCP-Protocol-Version", version), session)
    yield Sent(reading, {}, verb="GET")
    yield Sent((*reading, ("Last-Event-ID", known.event_ids[version])), {}, verb="GET")
    yield Sent((("MCP-Protocol-Version", version), ("Mcp-Session-Id", known.others[version])), {}, verb="DELETE")

"""Mutations of a request of MCP: those of every protocol's (tests/support/fuzzing.py), and of its headers."""

from dataclasses import replace

from hypothesis import strategies as st

from tests.protocol.mcp.fuzz.conversations import REVISIONS, SET
from tests.support.fuzzing import ODD_TEXTS, Sent, byte_mutation, json_mutation

NAMES = [
    "id", "method", "params", "jsonrpc", "_meta", "result", "error", "name", "uri", "arguments", "cursor",
    "inputResponses", "requestState", "task", "taskId", "progressToken", "input", "notifications", "toolsListChanged",
    "ref", "argument", "context", "taskIds", "resourceSubscriptions", "promptsListChanged", "level", "ttl", "requestId",
    "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel", "io.modelcontextprotocol/clientInfo", "sh.asya/idempotencyKey", "traceparent",
]  # fmt: skip
HEADERS = [
    "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-Region", "Mcp-Session-Id", "Last-Event-ID", "Accept",
    "Content-Type", "Idempotency-Key", "traceparent", "Content-Encoding", "Prefer",
]  # fmt: skip

queries = st.sampled_from(
    ["", "?session_id=", "?session_id=x", "?session_id=%00", "?session_id=<sse>&session_id=<sse>"]
)
ODD_URLS = [
    "/mcp/no-such-set", "/mcp/%00", f"/mcp/{SET}%00", "/mcp/" + "x" * 300, "/mcp/%F0%9F%90%99", "/mcp/..%2f",
    "/mcp?flows=", "/mcp?flows=,", "/mcp?flows=%00", "/mcp?flows=No%20Flow", "/mcp?flows=" + "x" * 300,
    "/mcp?flows=" + ",".join(f"flow-{n}" for n in range(101)), "/mcp?flows=no-such-flow", "/mcp?other=1",
    "/mcp?flows=anything&flows=shout", f"/mcp/{SET}?flows=no-such-flow", f"/mcp/{SET}?flows=%FF",
]  # fmt: skip
"""Of sets that do not exist, of names that are none, and of flows that are not there."""
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=10))
header_texts = st.one_of(
    st.sampled_from([text for text in ODD_TEXTS if text.isprintable() and len(text) < 1000 and text.isascii()]),
    st.sampled_from([*REVISIONS, "application/json", "text/event-stream", "text/html", "*/*;q=0", "gzip", "0", "1-2"]),
    st.sampled_from(
        ["get-0-0", "get-9999999999999999999-1", "0" * 32 + "-0-0-0", "0" * 32 + "-1-1-" + "9" * 19, "x" * 64]
    ),
    st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40),
    st.text(alphabet=st.characters(min_codepoint=0xA0, max_codepoint=0xFF), min_size=1, max_size=10),
)


@st.composite
def header_mutation(draw: st.DrawFn, sent: Sent) -> Sent:
    """Remove, change, double or add a header."""
    match draw(st.sampled_from(["remove", "change", "double", "add"])):
        case "remove" if sent.headers:
            index = draw(st.integers(0, len(sent.headers) - 1))
            return replace(sent, headers=sent.headers[:index] + sent.headers[index + 1 :])
        case "change" if sent.headers:
            index = draw(st.integers(0, len(sent.headers) - 1))
            entry = (sent.headers[index][0], draw(header_texts))
            return replace(sent, headers=(*sent.headers[:index], entry, *sent.headers[index + 1 :]))
        case "double" if sent.headers:
            name, value = draw(st.sampled_from(sent.headers))
            again = value if draw(st.booleans()) else draw(header_texts)
            return replace(sent, headers=(*sent.headers, (name, again)))
        case _:
            return replace(sent, headers=(*sent.headers, (draw(st.sampled_from(HEADERS)), draw(header_texts))))


@st.composite
def mutated(draw: st.DrawFn, valid: list[Sent], shown_alike: list[str]) -> Sent:
    """A valid request with one to three mutations, at one of the endpoints that show the same, or at an odd one."""
    sent = draw(st.sampled_from(valid))
    if sent.path == "/mcp":
        elsewhere = draw(st.integers(0, 7))
        if elsewhere <= 1:
            sent = replace(sent, path=draw(st.sampled_from(ODD_URLS if elsewhere == 0 else shown_alike)))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        is_json = draw(st.sampled_from([True, True, False]))
        sent = draw(json_mutation(sent, names)) if is_json else draw(header_mutation(sent))
    match draw(st.integers(0, 9)):
        case 0:
            return draw(byte_mutation(sent))
        case 2 if sent.path.startswith("/mcp/messages"):
            return replace(sent, path="/mcp/messages" + draw(queries))
        case 1:
            return replace(sent, verb=draw(st.sampled_from(["GET", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH"])))
        case _:
            return sent

"""While too much waits for an actor: new calls of the flows that begin there are refused in the form of each wire, and
nothing else is."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.domain.backlog import Backlog, Figures
from tests.support import a2a, mcp
from tests.support.gateway import Gateway, start_gateway

FULL = Figures(full=frozenset({"first"}))
ELSEWHERE = {"name": "elsewhere", "entrypoint": "second", "mcp": {}}
OLD = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}
OLDEST = {"id": "mine", "sessionId": "s", "message": {"role": "user", "parts": [{"type": "text", "text": "hi"}]}}


@pytest.fixture
def backlog() -> Backlog:
    return Backlog()


@pytest.fixture
async def gateway(database_url: str, backlog: Backlog) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, backlog=backlog) as made:
        mcp.serve_tools(made, [*mcp.TOOLS, *a2a.SKILLS, ELSEWHERE])
        yield made


async def test_a_new_call_is_refused_on_every_wire_and_stores_nothing(gateway: Gateway, backlog: Backlog) -> None:
    backlog.learn(FULL, 60.0)

    async with gateway.session.post(f"{gateway.url}/tools/call", json={"name": "anything"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        error = (await response.json())["error"]
    assert (error["code"], error["field"], error["outcome"]) == ("overloaded", "flow", "not_done")

    data = {"outcome": "not_done", "code": "overloaded", "field": "flow"}
    stateless = mcp.stateless_body("tools/call", {"name": "anything"})
    older = mcp.message("tools/call", {"name": "anything"})
    older_headers = {"Accept": mcp.BOTH, "MCP-Protocol-Version": "2025-11-25"}
    for body, headers in ((stateless, mcp.stateless_headers(stateless)), (older, older_headers)):
        async with mcp.open_post(gateway, body, headers) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            error = (await response.json())["error"]
        assert (error["code"], error["data"]) == (-32603, data)

    said = {"code": "overloaded", "field": "flow"}
    (info,) = (await refused_by_a2a(gateway, "SendMessage", {"message": a2a.text_message("hi")}, "1.0"))["data"]
    assert (info["@type"], info["reason"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "UNAVAILABLE")
    assert info["metadata"] == said
    assert (await refused_by_a2a(gateway, "message/send", {"message": OLD}, None))["data"] == said
    assert (await refused_by_a2a(gateway, "tasks/send", OLDEST, None))["data"] == said
    assert await gateway.stored() == 0


async def test_a_refused_message_of_a2a_writes_nothing_at_all(gateway: Gateway, backlog: Backlog) -> None:
    database = gateway.running.storage.database
    await database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''written''; END'"
    )
    for table in ("a2a_tasks", "a2a_messages", "destinations"):
        await database.execute(f"CREATE TRIGGER t BEFORE INSERT OR DELETE ON {table} EXECUTE FUNCTION refuse()")
    backlog.learn(FULL, 60.0)
    push = {"configuration": {"taskPushNotificationConfig": {"url": "https://203.0.113.7/"}}}
    message = {"message": a2a.text_message("hi")}
    for method, params, version in (
        ("SendMessage", message, "1.0"),
        ("SendStreamingMessage", message, "1.0"),
        ("SendMessage", {**message, **push}, "1.0"),
        ("message/send", {"message": OLD}, None),
        ("tasks/send", OLDEST, None),
    ):
        await refused_by_a2a(gateway, method, params, version)
    backlog.learn(Figures(), 60.0)
    # What is accepted is written, as the triggers tell.
    answer = await a2a.post(gateway, a2a.envelope("SendMessage", message), path="/a2a/echo")
    assert answer[1]["error"]["code"] == -32603


async def refused_by_a2a(gateway: Gateway, method: str, params: Any, version: str | None) -> Any:
    """The error of a JSON-RPC request, whose status says when to try again."""
    sent = a2a.open_post(gateway, a2a.envelope(method, params), path="/a2a/echo", version=version)
    async with sent as response:
        error = (await response.json())["error"]
        assert (error["code"], response.headers["Retry-After"]) == (-32603, "5")
        return error


async def test_flows_that_begin_elsewhere_are_called_until_too_much_waits_in_all(
    gateway: Gateway, backlog: Backlog
) -> None:
    backlog.learn(FULL, 60.0)
    await gateway.submit("elsewhere")
    backlog.learn(Figures(everything=True), 60.0)
    assert (await gateway.post("/tools/call", {"name": "elsewhere"}))[0] == 503
    backlog.learn(Figures(), 60.0)
    await gateway.submit("anything")


async def test_a_repeated_call_a_retry_and_an_answer_go_through(gateway: Gateway, backlog: Backlog) -> None:
    key = {"Idempotency-Key": "once"}
    before = await gateway.post("/tools/call", {"name": "anything"}, headers=key)
    ended, paused = await gateway.submit(), await gateway.submit()
    await gateway.finish(ended)
    question = {"prompt": "ok?", "fields": [{"name": "ok", "type": "boolean"}]}
    pause = {"status": "completed", "prev": ["first", "x-pause"], "curr": "x-resume", "next": []}
    assert (await gateway.post(f"/mesh/{paused}/progress", {**pause, "pause_metadata": question}))[0] == 200
    backlog.learn(FULL, 60.0)

    assert await gateway.post("/tools/call", {"name": "anything"}, headers=key) == before
    assert (await gateway.post("/tools/call", {"name": "anything"}, headers={"Idempotency-Key": "new"}))[0] == 503
    assert (await gateway.post(f"/tasks/{ended}/retry"))[0] == 201
    assert (await gateway.post(f"/tasks/{paused}/resume", {"answer": {"ok": True}}))[0] == 200
    assert (await gateway.post("/api/v1/mesh/?actor=first", {"payload": {}}))[0] == 503

"""Held requests whose caller's credential is revoked or expires."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.http.keys import HELD
from tests.support.gateway import Gateway, start_gateway
from tests.support.principals import Tokens, bearer, closed
from tests.support.waiting import until


@pytest.fixture
def tokens() -> Tokens:
    made = Tokens(alice="mcp:read mcp:invoke", bob="mcp:read mcp:invoke")
    for name, principal in made.principals.items():
        made.principals[name] = replace(principal, revocables=frozenset({f"key:{name}", "grant:both"}))
    return made


@pytest.fixture
async def gateway(database_url: str, tokens: Tokens) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, doors=closed(tokens), stream_write_timeout=0.4) as made:
        yield made


async def submitted(gateway: Gateway, token: str) -> str:
    status, answer = await gateway.post("/tools/call", {"name": "anything"}, headers=bearer(token))
    assert status == 200
    return str(jsontext.loads(answer["content"][0]["text"])["task_id"])


async def test_a_revocation_ends_streams_of_that_principal_only(gateway: Gateway) -> None:
    mine, theirs = await submitted(gateway, "alice"), await submitted(gateway, "bob")
    async with (
        gateway.stream(f"/stream/{mine}", **bearer("alice")) as revoked,
        gateway.stream(f"/stream/{theirs}", **bearer("bob")) as other,
    ):
        assert (await revoked.next(), await other.next()) != (None, None)
        gateway.app[HELD].revoke(frozenset({"key:alice"}))
        assert await revoked.all() == []
        assert revoked.comments[-1] == "the credential was revoked"
        await gateway.post(f"/tasks/{theirs}/cancel", headers=bearer("bob"))
        assert (await other.all())[-1].data["status"] == "canceled"


async def test_a_revocation_ends_held_calls_with_401_and_leaves_their_tasks(gateway: Gateway) -> None:
    waiting = asyncio.create_task(
        gateway.post("/tools/call", {"name": "anything"}, headers={**bearer("alice"), "Prefer": "wait=30"})
    )
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "anything",
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }
    headers = {
        **bearer("bob"),
        "Accept": "application/json",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "anything",
    }
    held = asyncio.create_task(gateway.post("/mcp", message, headers=headers))

    async def both() -> bool:
        return len(gateway.app[HELD]) == 2 and await gateway.stored() == 2

    await until(both, 10, "two held calls")
    gateway.app[HELD].revoke(frozenset({"grant:both"}))
    assert [(await waiting)[0], (await held)[0]] == [401, 401]
    assert len(gateway.app[HELD]) == 0
    # Only what a client does itself cancels its task.
    statuses = await gateway.running.storage.database.fetch("SELECT status FROM tasks")
    assert [row["status"] for row in statuses] == ["pending", "pending"]


async def test_a_stream_ends_with_its_callers_credential_but_a_call_gets_its_answer(
    gateway: Gateway, tokens: Tokens
) -> None:
    tokens.principals["brief"] = replace(tokens.principals["bob"], expires_at=time.time() + 1.0)
    task_id = await submitted(gateway, "brief")
    waiting = asyncio.create_task(
        gateway.post("/tools/call", {"name": "anything"}, headers={**bearer("brief"), "Prefer": "wait=30"})
    )
    async with gateway.stream(f"/stream/{task_id}", **bearer("brief")) as stream:
        assert [event.data["status"] for event in await stream.all()] == ["pending"]
        assert stream.comments[-1].startswith("the credential has expired")
    assert not waiting.done()
    held = await gateway.running.storage.database.fetchval("SELECT id FROM tasks WHERE id <> $1", task_id)
    await gateway.finish(held, {"answer": 1})
    status, task = await waiting
    assert (status, task["status"]) == (200, "succeeded")


SLOWLY = [
    ("POST", "/tools/call", b'{"name": "anything", "arguments": {}}', ()),
    ("POST", "/tools/call", b'{"name": "anything", "arguments": {}}', ("Prefer: wait=30",)),
    ("POST", "/mcp", b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "anything"}}', ()),
    ("POST", "/mcp", b'[{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "anything"}}]', ()),
]


@pytest.mark.parametrize(("method", "path", "body", "more"), SLOWLY)
async def test_a_credential_that_is_revoked_while_a_body_arrives_calls_nothing(
    database_url: str, tokens: Tokens, method: str, path: str, body: bytes, more: tuple[str, ...]
) -> None:
    revoked = set[str]()

    async def admitted() -> bool:
        return tokens.verified == ["alice"]

    doors = closed(tokens, revoked=lambda subjects: not revoked.isdisjoint(subjects))
    async with start_gateway(database_url, doors=doors) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        version = "MCP-Protocol-Version: 2025-03-26"
        accept = "Accept: application/json, text/event-stream"
        kind = "Content-Type: application/json"
        lines = (f"{method} {path} HTTP/1.1", "Host: localhost", "Authorization: Bearer alice", version, accept, kind)
        writer.write("\r\n".join((*lines, *more, f"Content-Length: {len(body)}", "", "")).encode() + body[:5])
        await writer.drain()
        await until(admitted, 10, "the request's admission")
        revoked.add("key:alice")
        writer.write(body[5:])
        async with asyncio.timeout(10):
            assert b" 401 " in await reader.readline()
        writer.close()
        assert await gateway.stored() == 0

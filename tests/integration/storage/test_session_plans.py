"""Statements of sessions touch few blocks, however many sessions, calls and requests there are."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from asya_gateway.domain.sessions.ports import (
    STANDING_STREAM,
    InboxMessage,
    NewServerRequest,
    OpenCall,
    SessionTask,
)
from asya_gateway.domain.sessions.session import NewSession, SessionId, SessionTransport
from asya_gateway.storage.sessions import requests as stored_requests
from tests.support.blocks import counted_blocks
from tests.support.storage import Running, started_storage

FILL = """
INSERT INTO mcp_sessions (key, transport, owner, source, revision, used_at)
SELECT sha256(n::text::bytea), 'http', 'o' || n % 50, '', '2025-11-25', now() - n * interval '1 second'
FROM generate_series(1, 10000) n;
INSERT INTO mcp_calls (session, request, task_id, call)
SELECT sha256((n % 10000)::text::bytea), substr(sha256(n::text::bytea), 1, 16), 't' || n, '{}'
FROM generate_series(1, 20000) n;
INSERT INTO mcp_server_requests (session, id, number, stream, purpose, method, params, ended_at, outcome)
SELECT sha256((n % 10000)::text::bytea), n::text, n, substr(sha256(n::text::bytea), 1, 16), 'p' || n, 'roots/list',
       '{}', now(), 'answered'
FROM generate_series(1, 20000) n;
INSERT INTO mcp_session_tasks (session, task_id)
SELECT sha256((n % 10000)::text::bytea), 't' || n FROM generate_series(1, 20000) n;
INSERT INTO mcp_inbox (session, body) SELECT sha256((n % 10000)::text::bytea), '{}' FROM generate_series(1, 10000) n
"""

FEW = 200
"""Blocks that a statement for one session may touch."""
A_CHUNK = 15_000
"""Those of one that looks for what is to be removed."""


@pytest.fixture
async def stored(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    # What was planned once is what is executed later.
    monkeypatch.setattr("asya_gateway.storage.database.HOT_CONNECTIONS", 1)
    async with started_storage(database_url) as made:
        yield made


async def test_a_session_costs_the_same_beside_many_others(stored: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await one_life(stored)
    await stored.storage.database.execute(FILL)
    for _ in ("plans of empty tables", "those of full ones"):
        with counted_blocks(monkeypatch) as blocks:
            await one_life(stored)
        blocks.check(FEW)
        with counted_blocks(monkeypatch) as chunks:
            await stored.storage.sessions.retention.retire()
        chunks.check(A_CHUNK)
        await stored.storage.database.execute("ANALYZE")


async def one_life(stored: Running) -> None:
    """All that happens to a session, its calls, its tasks and what it is asked."""
    parts = stored.storage.sessions.parts
    session, task_id = NewSession(SessionId.new().key, SessionTransport.HTTP, "mine", revision="2025-11-25"), "old"
    key, request = session.key, bytes(range(16))
    await parts.sessions.create(session)
    assert await parts.sessions.find(key, "mine") is not None
    await asyncio.gather(*(parts.sessions.find(key, "mine") for _ in range(20)))
    await parts.sessions.set_level(key, "info")
    await parts.sessions.subscribe(key, "a://b")
    await parts.sessions.unsubscribe(key, "a://b")
    assert await parts.sessions.open_stream(key) == 1
    assert await parts.calls.register(OpenCall(key, request, task_id, {"id": 1}))
    assert await parts.calls.find(key, request) is not None
    await parts.tasks.add(key, SessionTask(task_id, "token"))
    await parts.tasks.unfinished(key)
    await questions(stored, key, request)
    await parts.calls.cancel(key, request)
    await parts.inbox.put(key, InboxMessage(None, "{}"))
    (size,) = await parts.inbox.sizes(key)
    assert [len(each.body) for each in await parts.inbox.take(key, 20)] == [size]
    assert await parts.sessions.end(key, "mine")


async def questions(stored: Running, key: bytes, stream: bytes) -> None:
    parts, database = stored.storage.sessions.parts, stored.storage.database
    asked = await parts.requests.ask(key, stream, [NewServerRequest(each, "roots/list", {}) for each in "ab"])
    assert asked is not None
    # Those of one transaction, each by itself, since only these are counted.
    hour, day = timedelta(hours=1), timedelta(days=1)
    await database.fetch(stored_requests._NUMBER, key, 1)
    await database.execute(stored_requests._PRUNE, key, hour, day, 1, 100)
    await database.fetch(stored_requests._BY_PURPOSE, key, ["a"])
    await database.fetch(stored_requests._OPEN, key, ["a"], day)
    await database.execute(stored_requests._TAKE, key, stream, ["a"], STANDING_STREAM)
    await database.execute(stored_requests._LEFT, key, ["a"], day)
    await parts.requests.hold(key, stream)
    await parts.requests.release(key, stream)
    ids = [each.id for each in asked]
    assert len(await parts.requests.get(key, ids)) == 2
    assert len(await parts.requests.of_stream(key, stream)) == 2
    assert await parts.requests.answer(key, ids[0], {"result": {}}) is not None
    assert len(await parts.requests.withdraw(key, ids)) == 1

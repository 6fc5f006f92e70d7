"""Statements of sessions wait for locked rows in the order of the rows' keys, or do not wait: no two of them can wait
for each other, whichever plan each of them has."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from asya_gateway.domain.sessions.ports import STANDING_STREAM, NewServerRequest, OpenCall, SessionTask
from asya_gateway.domain.sessions.session import NewSession, SessionId, SessionTransport
from asya_gateway.storage.sessions import tasks as session_tasks
from asya_gateway.storage.sessions.store import PostgresSessionParts
from servers.databases import execute
from tests.support.storage import Running, started_storage
from tests.support.waiting import until

SESSION = b"s" * 32
STREAM, OTHER = b"a" * 16, b"b" * 16
IN_PLACE = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")
"""Without these, rows are found in the order in which they were stored, which is the opposite one here."""
IDS = ["c", "b", "a"]
"""In the order in which they are stored."""


@pytest.fixture
async def stored(database_url: str) -> AsyncIterator[Running]:
    name = database_url.rpartition("/")[2].partition("?")[0]
    execute(database_url, *(f'ALTER DATABASE "{name}" SET {each} = off' for each in IN_PLACE))
    async with started_storage(database_url) as made:
        yield made


Work = Callable[[PostgresSessionParts], Awaitable[Any]]


class Locks:
    """One row is locked; what else a statement locks meanwhile is seen."""

    def __init__(self, stored: Running, url: str, table: str, column: str) -> None:
        self._database = stored.storage.database
        self._parts = stored.storage.sessions
        self._url = url
        self._table = table
        self._column = column

    async def held_by(self, work: Work, first: Any, others: Sequence[Any]) -> list[Any]:
        """Those of the others that the statement has locked while it waits for the first."""
        holder = await asyncpg.connect(self._url)
        try:
            async with holder.transaction():
                await holder.execute(self._locking("FOR UPDATE"), [first])
                running = asyncio.ensure_future(work(self._parts))
                await until(self._somebody_waits, what="the statement to wait")
                free = await self._database.fetch(self._locking("FOR UPDATE SKIP LOCKED"), list(others))
            await running
        finally:
            await holder.close()
        return [each for each in others if each not in {row[0] for row in free}]

    async def left_by(self, work: Work, locked: Any) -> list[Any]:
        """The rows that are still there after a statement that does not wait for the locked one."""
        holder = await asyncpg.connect(self._url)
        try:
            async with holder.transaction(), asyncio.timeout(20):
                await holder.execute(self._locking("FOR UPDATE"), [locked])
                await work(self._parts)
        finally:
            await holder.close()
        return [row[0] for row in await self._database.fetch(f"SELECT {self._column} FROM {self._table} ORDER BY 1")]

    def _locking(self, how: str) -> str:
        return f"SELECT {self._column} FROM {self._table} WHERE {self._column} = ANY ($1) {how}"

    async def _somebody_waits(self) -> bool:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(await self._database.fetchval(waiting))


FILL = """
INSERT INTO mcp_sessions (key, transport, owner, source, revision, revocables, used_at)
SELECT key, 'http', 'key:a', '192.0.2.1', '2025-11-25', '{key:a}', now() - interval '2 hours' - n * interval '1 second'
FROM (SELECT n, decode(lpad(to_hex(1000 - n), 64, '0'), 'hex') AS key FROM generate_series(1, $1::int) n) s ORDER BY n
"""
"""Sessions of which those that are idle for longer are stored later and have smaller keys."""


def new_session() -> NewSession:
    return NewSession(SessionId.new().key, SessionTransport.HTTP, "key:a", "192.0.2.1", revision="2025-11-25")


@pytest.mark.parametrize(
    ("number", "work"),
    [
        pytest.param(203, lambda parts: parts.sessions.create(new_session()), id="beyond the limit"),
        pytest.param(4, lambda parts: parts.sessions.end_of(["key:a"]), id="revoked"),
    ],
)
async def test_sessions_are_ended_in_the_order_of_their_keys(
    stored: Running, database_url: str, number: int, work: Work
) -> None:
    database = stored.storage.database
    await database.execute(FILL, number)
    rows = await database.fetch("SELECT key FROM mcp_sessions ORDER BY key LIMIT 4")
    first, *others = [row["key"] for row in rows]
    locks = Locks(stored, database_url, "mcp_sessions", "key")
    assert await locks.held_by(work, first, others) == []
    left = {row["key"] for row in await database.fetch("SELECT key FROM mcp_sessions")}
    assert left.isdisjoint([first, *others])


async def test_the_use_of_a_session_is_noted_later_while_somebody_changes_it(
    stored: Running, database_url: str
) -> None:
    database = stored.storage.database
    await database.execute(FILL, 3)
    keys = [row["key"] for row in await database.fetch("SELECT key FROM mcp_sessions ORDER BY key")]
    await Locks(stored, database_url, "mcp_sessions", "key").left_by(lambda parts: parts.sessions.read(keys), keys[0])
    old = "SELECT key FROM mcp_sessions WHERE used_at < now() - interval '1 hour'"
    assert [row["key"] for row in await database.fetch(old)] == keys[:1]


REQUESTS = """
INSERT INTO mcp_server_requests (session, id, number, stream, purpose, method, params, asked_at, ended_at, held_at)
SELECT $1, id, n, $2, 'p' || id, 'roots/list', '{}', now() - $4::interval,
       CASE WHEN $5 THEN now() - $4::interval END, now() - $4::interval
FROM unnest($3::text[]) WITH ORDINALITY AS r(id, n) ORDER BY n
"""


async def requests_of(stored: Running, age: timedelta, *, ids: Sequence[str] = IDS, ended: bool = False) -> None:
    database = stored.storage.database
    await database.execute(
        "INSERT INTO mcp_sessions (key, transport, owner, source, revision) VALUES ($1, 'http', 'o', '', '2025-11-25')",
        SESSION,
    )
    await database.execute(REQUESTS, SESSION, STREAM, list(ids), age, ended)


def asking(stream: bytes, *purposes: str) -> Work:
    requests = [NewServerRequest(purpose, "roots/list", {}) for purpose in purposes]
    return lambda parts: parts.requests.ask(SESSION, stream, requests)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda parts: parts.requests.hold(SESSION, STREAM), id="held"),
        pytest.param(lambda parts: parts.requests.release(SESSION, STREAM), id="released"),
        pytest.param(lambda parts: parts.requests.withdraw(SESSION, IDS), id="withdrawn"),
        pytest.param(asking(OTHER, "pc", "pb", "pa"), id="taken over"),
    ],
)
async def test_requests_are_changed_in_the_order_of_their_ids(stored: Running, database_url: str, work: Work) -> None:
    await requests_of(stored, timedelta(seconds=30))
    locks = Locks(stored, database_url, "mcp_server_requests", "id")
    assert await locks.held_by(work, "a", ["b", "c"]) == []


MANY = [f"{n:04}" for n in range(1_004)]
OLDEST = MANY[0]


@pytest.mark.parametrize(
    ("ids", "age", "ended", "work", "kept"),
    [
        (IDS, timedelta(hours=2), True, asking(STANDING_STREAM, "new"), 0),
        (MANY[:16], timedelta(minutes=30), False, asking(STANDING_STREAM, "new"), 0),
        (MANY, timedelta(minutes=30), True, lambda parts: parts.retention.retire(), 1_000),
    ],
    ids=["too old", "too many open", "too many"],
)
async def test_requests_do_not_give_way_while_somebody_changes_them(
    stored: Running,
    database_url: str,
    ids: Sequence[str],
    age: timedelta,
    work: Work,
    kept: int,
    *,
    ended: bool,
) -> None:
    await requests_of(stored, age, ids=ids, ended=ended)
    left = await Locks(stored, database_url, "mcp_server_requests", "id").left_by(work, ids[0])
    assert [id for id in left if id in ids] == [ids[0], *ids[len(ids) - kept :]]


CALLED = [n.to_bytes(16, "big") for n in range(len(MANY))]
CALLS = """
INSERT INTO mcp_calls (session, request, task_id, call, at)
SELECT $1, request, 't', '{}', now() - interval '10 minutes' + n * interval '1 ms'
FROM unnest($2::bytea[]) WITH ORDINALITY AS r(request, n)
"""


async def retire(parts: PostgresSessionParts) -> None:
    await parts.retention.retire()


async def forget_answered(parts: PostgresSessionParts) -> None:
    for request in CALLED[:4]:
        parts.calls.ended(OpenCall(SESSION, request, "t", {}))
    await parts.calls._remove(time.monotonic() + 1)


@pytest.mark.parametrize("work", [retire, forget_answered])
async def test_a_call_that_is_registered_again_is_not_removed(stored: Running, database_url: str, work: Work) -> None:
    await requests_of(stored, timedelta(0))
    await stored.storage.database.execute(CALLS, SESSION, CALLED)
    left = await Locks(stored, database_url, "mcp_calls", "request").left_by(work, CALLED[0])
    assert left == [CALLED[0], *CALLED[4:]]


async def test_a_task_of_a_session_makes_no_room_while_somebody_changes_it(stored: Running, database_url: str) -> None:
    await requests_of(stored, timedelta(0))
    names = MANY[: session_tasks.MOST_FOLLOWED + 3]
    add = "INSERT INTO mcp_session_tasks (session, task_id, at) SELECT $1, unnest($2::text[]), now() - interval '1 day'"
    await stored.storage.database.execute(add, SESSION, names)
    adding = SessionTask("new", None)
    locks = Locks(stored, database_url, "mcp_session_tasks", "task_id")
    left = await locks.left_by(lambda parts: parts.tasks.add(SESSION, adding), OLDEST)
    assert OLDEST in left
    assert len(set(names).intersection(left)) <= session_tasks.MOST_FOLLOWED

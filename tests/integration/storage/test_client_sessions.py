"""Sessions of clients in Postgres: their limits, their ends, and what is removed with them."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from asya_crds import jsontext
from asya_gateway.domain import budget as budgets
from asya_gateway.domain.budget import Budget, NoRoom, Share
from asya_gateway.domain.sessions.ports import STANDING_STREAM, InboxMessage, NewServerRequest, OpenCall, SessionTask
from asya_gateway.domain.sessions.session import MOST_URI_BYTES, NewSession, SessionId, SessionTransport
from asya_gateway.domain.task import LARGEST_INLINE
from asya_gateway.storage.sessions import calls as stored_calls
from asya_gateway.storage.sessions import inbox as stored_inbox
from asya_gateway.storage.sessions import retention
from asya_gateway.storage.sessions import rows as rows_of_sessions
from asya_gateway.storage.sessions import tasks as session_tasks
from asya_gateway.storage.sessions.store import PostgresSessionParts
from asya_gateway.storage.tasks.reading import WEIGHT
from tests.support.storage import Running, make_storage, started_storage, succeeded
from tests.support.waiting import rounds


@pytest.fixture
async def stored(database_url: str) -> AsyncIterator[Running]:
    async with started_storage(database_url) as made:
        yield made


def new(owner: str = "key:a", source: str = "", **changes: object) -> NewSession:
    made = NewSession(SessionId.new().key, SessionTransport.HTTP, owner, source, revision="2025-11-25")
    return replace(made, **changes)  # type: ignore[arg-type]


def parts_of(stored: Running) -> PostgresSessionParts:
    return stored.storage.sessions


async def alive(stored: Running, *sessions: NewSession) -> list[bool]:
    found = await asyncio.gather(*(parts_of(stored).sessions.find(each.key, each.owner) for each in sessions))
    return [each is not None for each in found]


async def age(stored: Running, session: NewSession, seconds: float) -> None:
    await stored.storage.database.execute(
        "UPDATE mcp_sessions SET used_at = now() - $2 * interval '1 second' WHERE key = $1", session.key, seconds
    )


FILL = """
INSERT INTO mcp_sessions (key, transport, owner, source, revision, used_at)
SELECT sha256(n::text::bytea), 'http', $1, $2, '2025-11-25', now() - n * interval '1 second'
FROM generate_series(1, $3) n
"""
"""Sessions of one owner and source, each idle a second longer than the one before."""


@pytest.mark.parametrize(("source", "most"), [("", 1_000), ("192.0.2.1", 200)])
async def test_beyond_the_limit_the_longest_idle_session_gives_way(stored: Running, source: str, most: int) -> None:
    sessions, database = parts_of(stored).sessions, stored.storage.database
    await database.execute(FILL, "key:a", source, most - 1)
    other = new(source="192.0.2.2") if source else new(owner="key:b")
    last, more, sse = new(source=source), new(source=source), new(source=source, transport=SessionTransport.SSE)
    for session in (other, last):
        await sessions.create(session)
    count = "SELECT count(*), bool_or(key = sha256($3::text::bytea)) FROM mcp_sessions WHERE owner = $1 AND source = $2"
    # None has gone yet; then each new one, whatever its transport, ends the longest idle one.
    assert tuple(await database.fetchrow(count, "key:a", source, str(most - 1)) or ()) == (most, True)
    for session, gone in ((more, 1), (sse, 2)):
        await sessions.create(session)
        for number, there in ((most - gone, False), (most - gone - 1, True)):
            found = await database.fetchrow(count, "key:a", source, str(number))
            assert tuple(found or ()) == (most, there)
    assert await alive(stored, last, more, other, sse) == [True] * 4


async def test_what_waits_for_the_database_is_charged_to_the_memory_budget(database_url: str) -> None:
    budget = Budget(1_000_000)
    made = make_storage(database_url, budget=budget)
    await made.storage.start()
    try:
        parts = parts_of(made)
        await parts.sessions.create(one := new())
        for work in (
            parts.sessions.find(one.key, one.owner),
            parts.calls.register(OpenCall(one.key, bytes(16), None, {"id": 1})),
        ):
            waiting = asyncio.ensure_future(work)
            await rounds(1)
            assert budget.holds(Share.WRITES) > 0
            assert await waiting
            assert budget.holds(Share.WRITES) == 0
    finally:
        await made.storage.stop()


async def test_a_session_ends_when_it_was_idle_for_seven_days(stored: Running) -> None:
    sessions = parts_of(stored).sessions
    one, two = new(), new()
    for session in (one, two):
        await sessions.create(session)
    await age(stored, one, 7 * 86_400 + 1)
    await age(stored, two, 7 * 86_400 - 60)
    assert await alive(stored, one, two) == [False, True]
    assert await parts_of(stored).retention.retire() == 1


async def test_a_use_is_noted_once_an_hour(stored: Running) -> None:
    sessions, database = parts_of(stored).sessions, stored.storage.database
    await sessions.create(one := new())
    for seconds, moved in ((3_500, False), (3_700, True)):
        await age(stored, one, seconds)
        before = await database.fetchval("SELECT used_at FROM mcp_sessions")
        await sessions.find(one.key, one.owner)
        assert (await database.fetchval("SELECT used_at FROM mcp_sessions") != before) is moved


async def test_a_session_of_a_stream_ends_soon_after_its_replica_is_gone(stored: Running) -> None:
    parts, database = parts_of(stored), stored.storage.database
    held, lost = new(transport=SessionTransport.SSE), new(transport=SessionTransport.SSE)
    for session in (held, lost):
        await parts.sessions.create(session)
        await age(stored, session, 30)
    # The replica that holds a stream looks at it every few seconds; messages alone keep nothing alive.
    await parts.sessions.read([held.key])
    await parts.sessions.find(lost.key, lost.owner)
    await database.execute("UPDATE mcp_sessions SET used_at = used_at - interval '40 seconds'")
    assert await alive(stored, held, lost) == [True, False]
    assert await parts.retention.retire() == 1


async def test_large_responses_are_read_when_there_is_room_in_memory(
    stored: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "PATIENCE", 0.01)
    parts = parts_of(stored)
    await parts.sessions.create(one := new())
    new_requests = [NewServerRequest(purpose, "sampling/createMessage", {}) for purpose in ("large", "small", "open")]
    asked = await parts.requests.ask(one.key, STANDING_STREAM, new_requests)
    assert asked is not None
    large, small = {"result": "x" * LARGEST_INLINE}, {"result": "y"}
    for each, response in zip(asked, (large, small), strict=False):
        assert await parts.requests.answer(one.key, each.id, response) is not None
    budget = Budget(4_000_000)
    budget.charge(Share.READERS, budget.ceiling(Share.READERS))
    with budget.scope():
        for read in (
            parts.requests.get(one.key, [each.id for each in asked]),
            parts.requests.ask(one.key, STANDING_STREAM, new_requests),
        ):
            with pytest.raises(NoRoom):
                await read
        # Small ones are read as they are.
        (found,) = await parts.requests.get(one.key, [asked[1].id])
        assert found.response == small
    budget.give_back(Share.READERS, budget.ceiling(Share.READERS))
    with budget.scope():
        again = await parts.requests.ask(one.key, STANDING_STREAM, new_requests)
        assert [each.response for each in again or ()] == [large, small, None]
        assert budget.holds(Share.READERS) == WEIGHT * len(jsontext.dumps(large))
    assert budget.holds(Share.READERS) == 0


async def test_what_a_session_has_said_is_read_once_for_each_version(stored: Running) -> None:
    sessions = parts_of(stored).sessions
    await sessions.create(one := new(capabilities={"roots": {}}))
    first = await sessions.find(one.key, one.owner)
    assert first is not None
    assert (first.capabilities, first.uris) == ({"roots": {}}, ())
    rows = f"SELECT {rows_of_sessions.COLUMNS} FROM mcp_sessions"
    (known,) = await stored.storage.database.fetch(rows, [one.key], [first.version])
    assert (known["capabilities"], known["uris"]) == (None, None)
    assert await sessions.find(one.key, one.owner) is first
    assert await sessions.open_stream(one.key) == 1
    moved = await sessions.find(one.key, one.owner)
    assert moved == replace(first, stream=1)
    assert await sessions.subscribe(one.key, "a://b")
    changed = (await sessions.read([one.key, new().key]))[one.key]
    assert (changed.uris, changed.version > first.version, changed.weight > first.weight) == (("a://b",), True, True)


async def test_sessions_are_shared_while_they_are_held_and_remembered_by_their_weight(
    stored: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = parts_of(stored).sessions
    monkeypatch.setattr(sessions, "_decoding", rows_of_sessions.Decoding(cache=4_000))
    large = {"experimental": {"x": "y" * 10_000}}
    await sessions.create(one := new(capabilities=large))
    await sessions.create(two := new())
    held = await sessions.find(one.key, one.owner)
    assert await sessions.find(one.key, one.owner) is held
    small = weakref.ref(await sessions.find(two.key, two.owner))
    assert small() is not None
    # Nobody holds it any more, and it is too large to be kept.
    there = weakref.ref(held)
    del held
    gc.collect()
    assert there() is None
    assert small() is await sessions.find(two.key, two.owner)


async def test_the_uris_of_a_session_are_bounded_in_bytes(stored: Running) -> None:
    sessions = parts_of(stored).sessions
    await sessions.create(one := new())
    uri = "test://" + "\u00e9" * 1_000
    fits = MOST_URI_BYTES // (len(uri.encode()) + 2)
    for number in range(fits):
        assert await sessions.subscribe(one.key, f"{uri}{number:02}")
    # One that is there already is not counted twice.
    assert await sessions.subscribe(one.key, f"{uri}00")
    assert not await sessions.subscribe(one.key, f"{uri}{fits}")
    await sessions.unsubscribe(one.key, f"{uri}00")
    assert await sessions.subscribe(one.key, f"{uri}{fits}")


async def test_a_session_of_another_owner_is_unknown(stored: Running) -> None:
    sessions = parts_of(stored).sessions
    await sessions.create(one := new())
    assert await sessions.find(one.key, "key:b") is None
    assert not await sessions.end(one.key, "key:b")
    assert await alive(stored, one) == [True]


async def test_sessions_of_a_revoked_credential_end(stored: Running) -> None:
    sessions = parts_of(stored).sessions
    one, two = new(revocables=frozenset({"key:1", "grant:2"})), new(revocables=frozenset({"key:3"}))
    for session in (one, two):
        await sessions.create(session)
    await sessions.end_of({"grant:2", "key:9"})
    assert await alive(stored, one, two) == [False, True]


def asked(purpose: str, size: int = 1) -> NewServerRequest:
    return NewServerRequest(purpose, "roots/list", {"x": "x" * size})


async def test_what_was_asked_is_not_asked_again(stored: Running) -> None:
    parts = parts_of(stored)
    await parts.sessions.create(one := new())
    first = await parts.requests.ask(one.key, b"s", [asked("a"), asked("b")])
    again = await parts.requests.ask(one.key, b"s", [asked("b"), asked("c")])
    assert first is not None
    assert again is not None
    assert again[0].id == first[1].id
    assert len({each.number for each in (*first, *again)}) == 3
    assert await parts.requests.ask(new().key, b"s", [asked("a")]) is None


async def test_a_question_moves_to_the_stream_that_asks_it_again(stored: Running) -> None:
    parts = parts_of(stored)
    await parts.sessions.create(one := new())

    async def stream_of(stream: bytes) -> bytes:
        found = await parts.requests.ask(one.key, stream, [asked("a")])
        assert found is not None
        return found[0].stream

    assert [await stream_of(each) for each in (b"1", b"2", STANDING_STREAM)] == [b"1", b"2", b"2"]
    await parts.sessions.create(one := new())
    # The standalone stream keeps what it has asked, until it is closed or has not said for a while that it is open.
    assert [await stream_of(each) for each in (STANDING_STREAM, b"1")] == [STANDING_STREAM, STANDING_STREAM]
    await parts.requests.release(one.key, STANDING_STREAM)
    assert await stream_of(b"1") == b"1"


async def test_questions_of_streams_that_are_gone_make_room_and_end(stored: Running) -> None:
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new())
    for number in range(16):
        assert await parts.requests.ask(one.key, b"%d" % number, [asked(f"a{number}")]) is not None
    assert await parts.requests.ask(one.key, b"n", [asked("new")]) is None
    await database.execute("UPDATE mcp_server_requests SET held_at = now() - interval '3 minutes'")
    await parts.requests.hold(one.key, b"7")
    assert await parts.requests.ask(one.key, b"n", [asked("new")]) is not None
    assert await database.fetchval("SELECT count(*) FROM mcp_server_requests") == 2
    await database.execute(
        "UPDATE mcp_server_requests SET held_at = now() - interval '61 minutes' WHERE stream = $1", b"7"
    )
    await parts.retention.retire()
    assert await database.fetchval("SELECT min(stream) FROM mcp_server_requests") == b"n"


async def test_only_the_first_response_counts(stored: Running) -> None:
    parts = parts_of(stored)
    await parts.sessions.create(one := new())
    found = await parts.requests.ask(one.key, b"s", [asked("a")])
    assert found is not None
    got = await asyncio.gather(*(parts.requests.answer(one.key, found[0].id, {"result": n}) for n in range(5)))
    assert sum(each is not None for each in got) == 1
    assert await parts.requests.withdraw(one.key, [found[0].id]) == []


LOG = """
INSERT INTO mcp_server_requests (session, id, number, stream, purpose, method, params, asked_at, ended_at, outcome,
                                 response)
SELECT $1, 'r' || n, n, 's'::bytea, 'p' || n, 'roots/list', '{}', now() - $4::interval, now() - $4::interval,
       'answered', json_build_object('result', (SELECT string_agg(sha256((n || '.' || m)::bytea)::text, '')
                                    FROM generate_series(1, $3) m))
FROM generate_series(1, $2) n
"""
"""So many answered requests; each answer has so many times 64 characters that cannot be compressed much."""
LOGGED = """
SELECT count(*) AS entries, min(number) AS oldest,
       sum(pg_column_size(params) + coalesce(pg_column_size(response), 0)) AS bytes FROM mcp_server_requests
"""
MIB = 1024 * 1024


async def test_the_log_of_a_session_has_a_thousand_entries_at_most(stored: Running) -> None:
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new())
    await database.execute(LOG, one.key, 1_005, 1, timedelta(minutes=2))
    await database.execute("UPDATE mcp_sessions SET events = 1005")
    assert await parts.requests.ask(one.key, b"s", [asked("a"), asked("b")]) is not None
    row = await database.fetchrow(LOGGED)
    assert row is not None
    # Those that are open count, too.
    assert (row["entries"], row["oldest"]) == (1_000, 8)
    assert await database.fetchval("SELECT count(*) FROM mcp_server_requests WHERE ended_at IS NULL") == 2


@pytest.mark.parametrize("pruned_by", ["the next question", "retention"])
async def test_the_log_of_a_session_has_four_mebibytes_at_most(stored: Running, pruned_by: str) -> None:
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new())
    await database.execute(LOG, one.key, 100, 1_000, timedelta(minutes=2))
    before = await database.fetchrow(LOGGED)
    assert before is not None
    assert before["bytes"] > 4 * MIB
    if pruned_by == "retention":
        await parts.retention.retire()
    else:
        await database.execute("UPDATE mcp_sessions SET events = 100")
        assert await parts.requests.ask(one.key, b"s", [asked("large", 60_000)]) is not None
    row = await database.fetchrow(LOGGED)
    assert row is not None
    # What is left is as much as there is room for, and the newest.
    assert 4 * MIB - 2 * before["bytes"] / 100 < row["bytes"] + 60_000
    assert row["bytes"] <= 4 * MIB
    assert row["oldest"] == 100 - (row["entries"] - (pruned_by != "retention")) + 1


async def test_an_entry_is_logged_for_an_hour_after_its_end(stored: Running) -> None:
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new())
    for minutes, left in ((59, 3), (61, 0)):
        await database.execute("DELETE FROM mcp_server_requests")
        await database.execute(LOG, one.key, 3, 1, timedelta(minutes=minutes))
        await parts.retention.retire()
        assert await database.fetchval("SELECT count(*) FROM mcp_server_requests") == left
    # A question finds no older entry either, also if retention has not come by yet.
    await database.execute(LOG, one.key, 3, 1, timedelta(minutes=61))
    found = await parts.requests.ask(one.key, b"s", [asked("p1")])
    assert found is not None
    assert found[0].is_open


async def test_a_question_is_open_for_a_day_at_most(stored: Running) -> None:
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new())
    for hours, left in ((23, 1), (25, 0)):
        assert await parts.requests.ask(one.key, b"s", [asked(f"a{hours}")]) is not None
        aged = "UPDATE mcp_server_requests SET asked_at = now() - $1::interval, held_at = now()"
        await database.execute(aged, timedelta(hours=hours))
        await parts.retention.retire()
        assert await database.fetchval("SELECT count(*) FROM mcp_server_requests") == left


async def test_whoever_goes_on_with_a_stream_reads_no_answers(stored: Running) -> None:
    """A log may have many large ones."""
    parts = parts_of(stored)
    await parts.sessions.create(one := new())
    found = await parts.requests.ask(one.key, b"s", [replace(asked("a", 10_000), state="where it stands")])
    assert found is not None
    await parts.requests.answer(one.key, found[0].id, {"result": "x" * 10_000})
    [entry] = await parts.requests.of_stream(one.key, b"s")
    assert (entry.id, entry.state, entry.outcome) == (found[0].id, "where it stands", "answered")
    assert (entry.params, entry.response) == ({}, None)
    [whole] = await parts.requests.get(one.key, [found[0].id])
    assert whole.response == {"result": "x" * 10_000}


async def test_the_row_of_a_call_outlives_its_task_by_an_hour(stored: Running) -> None:
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new())
    call = OpenCall(one.key, b"r" * 16, "ended", {"id": 1, "name": "x"})
    for minutes, left in ((59, 1), (61, 0)):
        await parts.calls.register(call)
        await database.execute("UPDATE mcp_calls SET at = now() - $1::interval", timedelta(minutes=minutes))
        await parts.retention.retire()
        assert await database.fetchval("SELECT count(*) FROM mcp_calls") == left
    # A note of a cancellation whose call never came is kept for a minute.
    for seconds, left in ((50, 1), (70, 0)):
        await parts.calls.cancel(one.key, b"n" * 16)
        await database.execute("UPDATE mcp_calls SET at = now() - $1::interval", timedelta(seconds=seconds))
        await parts.retention.retire()
        assert await database.fetchval("SELECT count(*) FROM mcp_calls") == left


async def test_everything_of_an_ended_session_is_removed(stored: Running) -> None:
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new(transport=SessionTransport.SSE))
    await parts.requests.ask(one.key, b"s", [asked("a")])
    await parts.calls.register(OpenCall(one.key, b"r" * 16, "t", {"id": 1}))
    await parts.tasks.add(one.key, SessionTask("t", "token"))
    await parts.calls.cancel(one.key, b"n" * 16)
    assert await parts.inbox.put(one.key, InboxMessage(None, "{}"))
    assert await parts.sessions.end(one.key, one.owner)
    tables = ("mcp_server_requests", "mcp_calls", "mcp_inbox", "mcp_session_tasks")
    for table, column in zip(tables, ("asked_at", "at", "at", "at"), strict=True):
        await database.execute(f"UPDATE {table} SET {column} = now() - interval '5 minutes'")
    await parts.retention.retire()
    assert [await database.fetchval(f"SELECT count(*) FROM {table}") for table in tables] == [0, 0, 0, 0]


async def test_a_wait_for_a_result_is_remembered_as_long_as_its_task_runs(stored: Running) -> None:
    parts, database, task_id = parts_of(stored), stored.storage.database, await stored.create()
    await parts.sessions.create(one := new())
    call = {"id": 1, "method": "tasks/result", "result_of": task_id}
    await parts.calls.register(OpenCall(one.key, b"w" * 16, None, call))
    await database.execute("UPDATE mcp_calls SET at = now() - interval '2 hours'")
    await parts.retention.retire()
    assert await parts.calls.find(one.key, b"w" * 16) is not None
    # Its cancellation names no task.
    assert await parts.calls.cancel(one.key, b"w" * 16) is None
    await stored.tasks.finish(succeeded(task_id))
    await parts.retention.retire()
    assert await database.fetchval("SELECT count(*) FROM mcp_calls") == 0


async def test_the_tasks_of_a_session_are_few_and_the_newest_unfinished_ones(stored: Running) -> None:
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new())
    await parts.sessions.create(other := new())
    open_tasks = [await stored.create() for _ in range(session_tasks.MOST_FOLLOWED + 3)]
    for each in open_tasks[:5]:
        await parts.tasks.add(one.key, SessionTask(each))
    # Tasks that have ended, all of them newer.
    await database.execute(
        "INSERT INTO mcp_session_tasks (session, task_id) SELECT s, 'ended-' || n"
        " FROM unnest($1::bytea[]) s, generate_series(1, 200) n",
        [one.key, other.key],
    )

    async def kept() -> list[str]:
        return [row["task_id"] for row in await database.fetch(KEPT_TASKS, one.key)]

    await parts.tasks.add(one.key, SessionTask(open_tasks[5]))
    found = await kept()
    assert len(found) == session_tasks.MOST_FOLLOWED
    assert set(open_tasks[:6]) <= set(found)
    for each in open_tasks[6:]:
        await parts.tasks.add(one.key, SessionTask(each))
    assert await kept() == open_tasks[3:]
    assert [each.id for each in await parts.tasks.unfinished(one.key)] == open_tasks[:2:-1]
    assert await database.fetchval("SELECT count(*) FROM mcp_session_tasks WHERE session = $1", other.key) == 200


KEPT_TASKS = "SELECT task_id FROM mcp_session_tasks WHERE session = $1 ORDER BY at"


async def test_the_newest_thousand_calls_of_a_session_are_kept(stored: Running) -> None:
    database = stored.storage.database
    for session, calls in ((one := new(), retention.MOST_CALLS + 3), (other := new(), 3)):
        await parts_of(stored).sessions.create(session)
        await database.execute(
            "INSERT INTO mcp_calls (session, request, call, at)"
            " SELECT $1, substr(sha256(n::text::bytea), 1, 16), json_build_object('id', n),"
            " now() - interval '5 minutes' + n * interval '1 ms' FROM generate_series(1, $2) n",
            session.key,
            calls,
        )
    await parts_of(stored).retention.retire()
    kept = "SELECT min((call->>'id')::int), count(*) FROM mcp_calls WHERE session = $1"
    assert [tuple(await database.fetchrow(kept, each.key) or ()) for each in (one, other)] == [(4, 1_000), (1, 3)]


async def test_rows_of_answered_calls_are_removed_when_there_are_many(
    stored: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_calls, "MOST_LINGERING", 2)
    monkeypatch.setattr(stored_calls, "TOGETHER", 1)
    parts, database = parts_of(stored), stored.storage.database
    await parts.sessions.create(one := new())
    calls = [OpenCall(one.key, bytes([n]) * 16, f"t{n}", {"id": n, "name": "x"}) for n in range(6)]
    for call in calls:
        assert await parts.calls.register(call)
    for call in calls:
        parts.calls.ended(call)
    removing = parts.calls._removing
    assert removing is not None
    await removing
    assert await database.fetchval("SELECT count(*) FROM mcp_calls") <= 4
    assert await parts.calls.find(one.key, calls[-1].request) == calls[-1]


async def test_a_call_that_was_just_answered_stays_when_an_older_one_is_removed(stored: Running) -> None:
    parts = parts_of(stored)
    await parts.sessions.create(one := new())
    old, young = (OpenCall(one.key, bytes([n]) * 16, f"t{n}", {"id": n, "name": "x"}) for n in range(2))
    for call in (old, young):
        assert await parts.calls.register(call)
    parts.calls.ended(old)
    answered = parts.calls._answered
    answered[0] = answered[0]._replace(at=answered[0].at - stored_calls.LINGER - 1)
    parts.calls.ended(young)
    removing = parts.calls._removing
    assert removing is not None
    await removing
    assert [await parts.calls.find(one.key, call.request) for call in (old, young)] == [None, young]


async def test_a_cancellation_is_noted_before_its_call_and_such_notes_are_few(stored: Running) -> None:
    parts = parts_of(stored)
    await parts.sessions.create(one := new())
    for number in range(stored_calls.MOST_NOTES + 5):
        assert await parts.calls.cancel(one.key, number.to_bytes(16, "big")) is None
    notes = await stored.storage.database.fetchval("SELECT count(*) FROM mcp_calls")
    assert notes == stored_calls.MOST_NOTES
    call = OpenCall(one.key, (1).to_bytes(16, "big"), "t", {"id": 1, "name": "x"})
    assert not await parts.calls.register(call)
    # An id that is used again names another call.
    assert await parts.calls.register(replace(call, task_id="u"))


async def test_an_inbox_is_bounded_and_read_in_order(stored: Running) -> None:
    parts = parts_of(stored)
    await parts.sessions.create(one := new(transport=SessionTransport.SSE))
    for number in range(stored_inbox.MOST_WAITING):
        assert await parts.inbox.put(one.key, InboxMessage(frozenset({"b", "a"}), str(number)))
    assert not await parts.inbox.put(one.key, InboxMessage(None, "more"))
    taken: list[str] = []
    while sizes := await parts.inbox.sizes(one.key):
        found = await parts.inbox.take(one.key, max(1, len(sizes) - 1))
        assert [len(each.body) for each in found] == list(sizes[: len(found)])
        assert all(each.scopes == frozenset({"a", "b"}) for each in found)
        taken += [each.body for each in found]
    assert taken == [str(number) for number in range(stored_inbox.MOST_WAITING)]

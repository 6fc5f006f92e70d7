"""Work on many rows is done by statements that each touch a bounded number of blocks, however many rows there are."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import pytest

from asya_crds.status import TaskStatus
from asya_gateway.domain.conversation_lists import ConversationFilter, Position
from asya_gateway.domain.destinations import DeliveryCapacity, Lagging
from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.ports import TaskFilter, Terms
from asya_gateway.storage import removing
from asya_gateway.storage.a2a import listing
from asya_gateway.storage.a2a.lists import PostgresConversationLists
from asya_gateway.storage.channels import open_pages
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.channels.destinations import PostgresDestinations
from asya_gateway.storage.channels.leases import PostgresDeliveries
from asya_gateway.storage.coalescer import Limits
from tests.integration.storage.test_plans_and_schema import ONE_STATEMENT, fill
from tests.support.blocks import counted_blocks
from tests.support.storage import Running, new_task

CHUNK = 100
A_ROW = 15
"""Blocks for a row that a chunk finds, locks and removes, with its entries in indexes."""

OLD_CHANGES = """
INSERT INTO resource_changes (uri, changed_at)
SELECT 'asya://' || md5(n::text), now() - (7200 + n) * interval '1 second' FROM generate_series(1, 5000) n;
INSERT INTO resource_changes (uri) SELECT 'asya://new/' || n FROM generate_series(1, 5000) n
"""


REVOCABLE = """
INSERT INTO mcp_sessions (key, transport, owner, revocables)
SELECT sha256(n::text::bytea), 'http', 'o',
       CASE n % 8 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['grant:gone', 'client:c'] ELSE ARRAY['grant:' || n] END
FROM generate_series(1, 8000) n;
INSERT INTO destinations (task_id, channel, name, owner, revocables, url, host, options, delivered_seq, done)
SELECT 't-' || n, 'a2a', 'x', 'o',
       CASE n % 8 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['grant:gone', 'client:c'] ELSE ARRAY['grant:' || n] END,
       'u', 'h', '{}', 0, n % 2 = 1 AND n > 8000
FROM generate_series(1, 24000) n
"""
"""A thousand of each belong to the grant, and of those destinations that are done two thousand."""
LEFT = """
SELECT (SELECT count(*) FROM mcp_sessions), (SELECT count(*) FROM mcp_sessions WHERE revocables && '{grant:gone}'),
       (SELECT count(*) FROM destinations WHERE disabled_reason IS NOT NULL),
       (SELECT count(*) FROM destinations WHERE disabled_reason IS NOT NULL AND revocables && '{grant:gone}')
"""


@pytest.mark.usefixtures("one_hot_session")
async def test_a_revocation_ends_what_it_ends_in_chunks_and_looks_at_nothing_else(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "CHUNK", CHUNK)
    monkeypatch.setattr(removing, "BETWEEN", 0.0)
    await revoke(still, {"grant:none"})
    await fill(database_url, REVOCABLE)
    for subject in ("grant:other", "grant:gone"):
        with counted_blocks(monkeypatch) as blocks:
            # As every replica does it at once.
            await asyncio.gather(*(revoke(still, {subject}) for _ in range(2)))
        blocks.check(CHUNK if subject == "grant:other" else A_ROW * CHUNK)
    assert tuple(await still.storage.database.fetchrow(LEFT) or ()) == (7000, 0, 1000, 1000)


async def revoke(still: Running, subjects: Collection[str]) -> None:
    destinations = PostgresDestinations(still.storage.database, DestinationAnnouncements(still.storage.bell))
    await asyncio.gather(destinations.disable_of(subjects), still.storage.sessions.sessions.end_of(subjects))


async def test_old_changes_of_resources_are_removed_in_chunks(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "CHUNK", CHUNK)
    monkeypatch.setattr(removing, "BETWEEN", 0.0)
    await fill(database_url, OLD_CHANGES)
    with counted_blocks(monkeypatch) as blocks:
        await still.storage.resources.retire()
    blocks.check(A_ROW * CHUNK)
    left = "SELECT count(*) FILTER (WHERE uri LIKE 'asya://new/%') = 5000 AND count(*) = 5000 FROM resource_changes"
    assert await still.storage.database.fetchval(left)


PAGE = 200
"""Destinations of a page. Each is read with the row of its task, which is found by its key."""
OPEN_DESTINATIONS = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at)
SELECT 't-' || n, '', 'shout', 'rest', 'running', '{}', 1 + (n % 1000 = 0)::integer, now(), now()
FROM generate_series(1, 5000) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 't-' || n, s, 'progress', 'running', 1, '{}', now() - n * interval '1 second'
FROM generate_series(1, 5000) n, generate_series(1, 2) s;
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq, not_before)
SELECT 't-' || n, 'a2a', 'x', '', 'u', 'h' || n % 3, '{}', 1, now() - (n % 2500) * interval '1 minute'
FROM generate_series(1, 5000) n
"""
"""Five of them lag. Each time is that of two."""


def queue_of(still: Running, *, per_host: int = 8) -> PostgresDeliveries:
    announcing = DestinationAnnouncements(still.storage.bell)
    return PostgresDeliveries(
        still.storage.database,
        announcing,
        channels=["a2a"],
        per_host=per_host,
        per_owner=64,
        limits=Limits(),
        longest=10.0,
    )


@pytest.mark.parametrize("analyzed", [False, True])
async def test_polls_look_at_open_destinations_page_by_page_and_come_to_all(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch, analyzed: bool
) -> None:
    monkeypatch.setattr(open_pages, "PAGE", PAGE)
    await fill(database_url, OPEN_DESTINATIONS + (";ANALYZE" if analyzed else ""))
    queue, found = queue_of(still), list[Lagging]()
    with counted_blocks(monkeypatch) as polls:
        for _ in range(3):
            found += await queue.lease(None, DeliveryCapacity(), 100)
    polls.check(8 * PAGE)
    assert len(polls.statements) == 5000 // PAGE + 1
    assert sorted(each.destination.task_id for each in found) == [f"t-{n}000" for n in range(1, 6)]
    with counted_blocks(monkeypatch) as measured:
        numbers = [await queue.lag() for _ in range(4)]
    measured.check(8 * PAGE)
    assert [number for number, _ in numbers][-2:] == [5, 5]
    assert numbers[-1][1] == pytest.approx(5000, abs=120)


async def test_a_poll_leases_no_more_for_a_host_from_all_its_pages_than_it_may_get(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_pages, "PAGE", 4)
    await fill(database_url, OPEN_DESTINATIONS.replace("5000", "30") + ";UPDATE tasks SET last_seq = 2")
    queue = queue_of(still, per_host=3)
    found = await queue.lease(None, DeliveryCapacity({"h1": 1, "h2": 0}), 100)
    assert sorted(each.destination.host for each in found) == ["h0", "h0", "h0", "h1"]
    assert len(await queue.lease(None, DeliveryCapacity(), 5)) == 5


EVERYBODYS = """
INSERT INTO tasks (id, parent_id, context_id, owner, flow, surface, status, route, created_at, updated_at)
SELECT 'call-' || n, NULL, 'talk', '', CASE WHEN n % 5000 = 0 THEN 'rare' ELSE 'shout' END, 'a2a', 'running',
       '{"prev":[],"curr":"a","next":[]}', now() - n * interval '1 second',
       now() - n * 7919 % 20000 * interval '1 second'
FROM generate_series(1, 20000) n;
INSERT INTO tasks (id, parent_id, context_id, owner, flow, surface, status, route, created_at, updated_at)
SELECT 'child-' || n, 'call-1', 'talk', '', 'shout', 'a2a', 'running', '{"prev":[],"curr":"a","next":[]}', now(), now()
FROM generate_series(1, 20000) n;
INSERT INTO a2a_tasks (task_id, owner, dialect, context_id) SELECT 'call-' || n, '', '1.0', 'talk'
FROM generate_series(1, 20000) n
"""
"""All tasks of an open gateway belong to one owner."""
LOOKS = (100, 400)
SORTED = 200


@pytest.mark.timeout(120)
@pytest.mark.parametrize("analyzed", [False, True])
async def test_lists_of_a2a_look_at_a_bounded_number_of_an_owners_open_tasks(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch, analyzed: bool
) -> None:
    monkeypatch.setattr(listing, "LOOKS", LOOKS)
    monkeypatch.setattr(listing, "MOST_SORTED", SORTED)
    monkeypatch.setattr(listing, "MOST_COUNTED", 2 * SORTED)
    await fill(database_url, EVERYBODYS + (";ANALYZE" if analyzed else ""))
    lists = PostgresConversationLists(still.storage.database)
    every = ConversationFilter(owner="", flows=frozenset({"shout", "rare"}))
    rare = replace(every, flows=frozenset({"rare"}))
    talk = replace(every, context_id="talk", context_names=frozenset({"talk", "inner"}))
    running = replace(every, status=TaskStatus.RUNNING)
    last = Position((await lists.places(every)).found[-1])
    for query in (every, rare, talk, running, replace(every, after=last)):
        with counted_blocks(monkeypatch) as blocks:
            page = await lists.places(query)
            assert await lists.count(query) <= 4 * SORTED
            assert page.next is not None
            await lists.places(
                ConversationFilter("", query.flows, after=Position(page.found[-1]) if page.found else last)
            )
            older = await lists.places(replace(query, after=Position(last.place, beyond=True)))
            assert older.next is not None
        # Each task that is looked at is found, and judged by its row in another table.
        blocks.check(ONE_STATEMENT + 6 * LOOKS[-1])


async def test_open_calls_are_counted_for_a_cap_and_listed_beside_a_fan_out_that_is_not_looked_at(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database_url, EVERYBODYS.replace("generate_series(1, 20000)", "generate_series(1, 5)", 1))
    with counted_blocks(monkeypatch) as blocks:
        await still.tasks.admit(new_task(owner=""), Terms(owner_cap=10))
        with pytest.raises(GatewayError):
            await still.tasks.admit(new_task(owner=""), Terms(owner_cap=6))
        for owner in (OwnedBy(""), EVERY_OWNER):
            assert len(await still.list(TaskFilter(owner=owner, limit=50))) == 50
    blocks.check(ONE_STATEMENT)

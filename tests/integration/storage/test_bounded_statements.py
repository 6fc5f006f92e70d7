"""Work on many rows is done by statements that each touch a bounded number of blocks, however many rows there are."""

import asyncio
from collections.abc import Collection

import pytest

from asya_gateway.storage import removing
from asya_gateway.storage.channels.announcing import Announcing
from asya_gateway.storage.channels.destinations import PostgresDestinations
from tests.integration.storage.test_plans_and_schema import fill
from tests.support.blocks import counted_blocks
from tests.support.storage import Running

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
    destinations = PostgresDestinations(still.storage.database, Announcing(still.storage.bell))
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

"""Work on many rows is done by statements that each touch a bounded number of blocks, however many rows there are."""

import pytest

from asya_gateway.storage import removing
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

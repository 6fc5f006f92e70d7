"""Plans that were made when everything had ended, which stay good when much is open: the server's statistics say then
that nothing is, so that an index of what is open looks like the cheapest way to any row."""

import pytest

from asya_gateway.storage.tasks import aiming
from tests.integration.storage.test_plans_and_schema import (
    ONE_BATCH,
    ONE_STATEMENT,
    batches_of_everything,
    fill,
    one_life_of_everything,
)
from tests.integration.storage.test_plans_of_deliveries import clients, envelopes
from tests.support.blocks import counted_blocks
from tests.support.storage import Running

ENDED = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at, finished_at, ended_as)
SELECT 'old-' || n, 'o' || n % 50, 'shout', 'rest', 'succeeded', '{}', 1, now(), now(), now(), 'succeeded'
FROM generate_series(1, 100000) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'old-' || n, 1, 'final', 'succeeded', 100, '{}', now() FROM generate_series(1, 100000) n;
INSERT INTO task_hops (task_id, hop, attempt, claimant, state, lease_until)
SELECT 'old-' || n, '0', 1, 'w', 'completed', now() FROM generate_series(1, 100000) n;
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq, done)
SELECT 'old-' || n, 'a2a', 'x', 'o' || n % 50, 'u', 'h' || n % 20, '{}', 1, true FROM generate_series(1, 50000) n;
UPDATE tasks SET finished_at = now(), ended_as = 'succeeded', status = 'succeeded' WHERE finished_at IS NULL;
UPDATE destinations SET done = true;
UPDATE task_pauses SET answered_at = now() WHERE answered_at IS NULL;
DELETE FROM outbox;
VACUUM ANALYZE
"""
MUCH_IS_OPEN = """
INSERT INTO tasks (id, parent_id, owner, flow, surface, status, route, last_seq, created_at, updated_at, deadline_at)
SELECT 'open-' || n, CASE WHEN n % 4 = 0 THEN 'open-' || n - 1 END, 'o' || n % 50, 'shout', 'rest', 'running', '{}', 1,
       now(), now(), now() + interval '1 day' FROM generate_series(1, 20000) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'open-' || n, 1, 'created', 'pending', 0, '{}', now() FROM generate_series(1, 20000) n;
INSERT INTO task_hops (task_id, hop, attempt, claimant, state, lease_until)
SELECT 'open-' || n, '0', 1, 'w', 'claimed', now() + interval '1 day' FROM generate_series(1, 20000) n;
INSERT INTO task_pauses (task_id, pause_id, question, created_at, expires_at)
SELECT 'open-' || n, 'p', '{}', now(), now() + interval '1 day' FROM generate_series(1, 20000) n;
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq)
SELECT 'open-' || n, 'a2a', 'x', 'o' || n % 50, 'u', 'h' || n % 20, '{}', 1 FROM generate_series(1, 20000) n;
INSERT INTO outbox (task_id, actor, body, not_before, created_at)
SELECT 'open-' || n, 'actor-' || n % 20, 'x', now() + interval '1 hour', now() FROM generate_series(1, 20000) n
"""
QUIET = """
ALTER TABLE tasks SET (autovacuum_enabled = off);
ALTER TABLE task_pauses SET (autovacuum_enabled = off);
ALTER TABLE destinations SET (autovacuum_enabled = off);
ALTER TABLE outbox SET (autovacuum_enabled = off)
"""
"""No statistics but those of the night."""


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("one_hot_session", "small_pages")
async def test_plans_made_when_everything_had_ended_stay_good_when_much_is_open(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one_life_of_everything(still)
    await fill(database_url, QUIET)
    *rows, vacuum = ENDED.split(";\n")
    for statement in rows:
        await fill(database_url, statement)
    await fill(database_url, vacuum)
    # Here the plans are made.
    await one_life_of_everything(still)
    await batches_of_everything(still)
    await envelopes(still)
    await clients(still)
    await fill(database_url, MUCH_IS_OPEN)
    with counted_blocks(monkeypatch) as single:
        await one_life_of_everything(still)
        await clients(still)
    # It counts what an owner has, and stops at what an owner may have.
    single.apart(aiming.OPEN_OF_OWNERS).check(aiming.CAP)
    single.check(ONE_STATEMENT)
    with counted_blocks(monkeypatch) as batch:
        await batches_of_everything(still)
        await envelopes(still)
    batch.check(ONE_BATCH)

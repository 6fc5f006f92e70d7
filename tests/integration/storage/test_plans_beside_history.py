"""What is done by the clock, and for one request of a caller, beside long histories of what tasks leave behind: the
blocks that each statement touches, with plans made when the tables were empty, and with those of full ones."""

import pytest

from asya_crds.hop_reports import EndOutcome
from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.hop_reports import CrewReport
from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.domain.owners import OwnedBy
from asya_gateway.storage.crews import Crews
from asya_gateway.storage.health import VitalsReader
from asya_gateway.storage.identity.audit import IdentityRetention, PostgresAudit
from asya_gateway.storage.identity.keys import PostgresKeys
from asya_gateway.storage.identity.revocations import read_since
from asya_gateway.storage.log import fly, resource_changes
from tests.integration.storage.test_plans_and_schema import ONE_STATEMENT, fill
from tests.support.blocks import counted_blocks
from tests.support.hops import begin, end
from tests.support.storage import Running

ROWS = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at, finished_at, ended_as)
SELECT 'old-' || n, 'o' || n % 50, 'shout', 'rest', 'succeeded', '{}', 1, now(), now(), now(), 'succeeded'
FROM generate_series(1, 50000) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'old-' || n, 1, 'final', 'succeeded', 100, '{}', now() FROM generate_series(1, 50000) n;
INSERT INTO task_pauses (task_id, pause_id, question, created_at, answered_at, expires_at)
SELECT 'old-' || n, 'p', '{}', now(), CASE WHEN n % 10 > 0 THEN now() END, now() + interval '30 days'
FROM generate_series(1, 50000) n;
INSERT INTO task_request_keys (task_id, action, key, digest)
SELECT 'old-' || n, 'cancel', 'k', 'd' FROM generate_series(1, 50000) n;
INSERT INTO incomplete_finals (task_id, arrived_at, due_at)
SELECT 'old-' || n, now(), now() + interval '1 day' FROM generate_series(1, 50000) n;
INSERT INTO resource_changes (uri) SELECT 'asya://old/' || n FROM generate_series(1, 50000) n;
INSERT INTO audit (id, at, event, principal, source, reason)
SELECT 'a-' || n, now() - n * interval '1 minute', CASE WHEN n % 2 = 0 THEN 'refused' ELSE 'admitted' END, 'p' || n,
       '10.0.0.1', 'expired' FROM generate_series(1, 50000) n;
INSERT INTO revocations (subject, at, until, version)
SELECT 'grant:' || n, now(), now() + interval '1 day', n FROM generate_series(1, 50000) n;
INSERT INTO mcp_sessions (key, transport, owner, source, revision, used_at)
SELECT sha256(n::text::bytea), 'http', 'o' || n % 50, '', '2025-11-25', now() - n * 7919 % 500000 * interval '1 second'
FROM generate_series(1, 10000) n;
INSERT INTO crews (name, sink, hooks, said_at) SELECT 'other-' || n, '', false, now() FROM generate_series(1, 20) n
"""
KEY = RequestKey("cancel", "k", b"d")


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("one_hot_session")
async def test_what_is_done_by_the_clock_and_for_a_caller_touches_few_blocks_beside_a_long_history(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await for_a_caller(still)
    await by_the_clock(still)
    await fill(database_url, ROWS)
    for analyzed in (False, True):
        if analyzed:
            await fill(database_url, "ANALYZE")
        with counted_blocks(monkeypatch) as single:
            await for_a_caller(still)
        single.check(ONE_STATEMENT)
        with counted_blocks(monkeypatch) as rounds:
            await by_the_clock(still)
        rounds.check(ONE_STATEMENT)
        with counted_blocks(monkeypatch) as retention:
            await IdentityRetention(still.storage.database, audit=60 * 86_400.0).retire()
            assert await still.storage.sessions.retention.retire() == 0
            await still.storage.resources.retire()
        retention.check(ONE_STATEMENT)


async def for_a_caller(still: Running) -> None:
    """What a request adds to the audit, looks up and says."""
    task_id, database = await still.create(owner="o1"), still.storage.database
    await still.tasks.begin(begin(task_id))
    assert (await still.tasks.end(end(task_id))).outcome is EndOutcome.ENDED
    await still.tasks.note({task_id: ProgressEntry(message="Waits for its queue")})
    assert await still.tasks.find_request(task_id, OwnedBy("o1"), KEY) is False
    await PostgresAudit(database).write(
        [
            AuditRecord(AuditEvent.REFUSED, source="10.0.0.2", reason="expired", at=0.0),
            AuditRecord(AuditEvent.ADMITTED, principal="p", source="10.0.0.2"),
        ]
    )
    await PostgresKeys(database).used({"k": 1.0})
    await database.fetch(fly._STORED, [task_id])
    await database.fetch(resource_changes._NUMBERS, ["asya://old/7", "asya://none"])
    await Crews(database).says(CrewReport("crew-1", hooks=False))
    await still.storage.incomplete.keep(task_id)


async def by_the_clock(still: Running) -> None:
    """What every process does again and again, and finds nothing."""
    database = still.storage.database
    newest = await database.fetchval("SELECT coalesce(max(version), 0) FROM revocations")
    assert await read_since(database, newest) == ([], newest)
    assert await still.storage.expiry.expire() == 0
    assert await still.storage.incomplete.expire(still.tasks.finish) == 0
    await VitalsReader(database, None).read()

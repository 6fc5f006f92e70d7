"""The table of the audit: counts that add up whoever counts, rows written once, and their end."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord
from asya_gateway.storage import removing
from asya_gateway.storage.identity.audit import LONGEST, IdentityRetention, PostgresAudit, record
from tests.support.storage import Running

MINUTE = 1_800_000_000.0
DAY = 86_400.0


def refusal(source: str = "1.2.3.4", reason: str = "bad key", count: int = 1, at: float = MINUTE) -> AuditRecord:
    return AuditRecord(AuditEvent.REFUSED, source=source, reason=reason, count=count, at=at)


def admission(source: str = "1.2.3.4", at: float = MINUTE) -> AuditRecord:
    return AuditRecord(AuditEvent.ADMITTED, "key:ci", "key", source, at=at)


async def rows(still: Running) -> list[dict[str, Any]]:
    return [dict(row) for row in await still.storage.database.fetch("SELECT * FROM audit ORDER BY at, id")]


async def test_pods_count_the_same_refusal_in_one_row(still: Running) -> None:
    store = PostgresAudit(still.storage.database)
    many = [refusal(f"1.2.3.{number}", count=2) for number in range(5)]
    await asyncio.gather(store.write(many), store.write(many[::-1]), store.write([refusal(at=MINUTE + 60)]))
    found = await rows(still)
    assert sorted((row["source"], row["count"]) for row in found if row["at"].timestamp() == MINUTE) == [
        (f"1.2.3.{number}", 4) for number in range(5)
    ]
    assert len(found) == 6


async def test_one_admission_stays_for_a_principal_source_and_minute(still: Running) -> None:
    store = PostgresAudit(still.storage.database)
    await store.write([admission(), admission(), admission("5.6.7.8")])
    await store.write([admission(), admission(at=MINUTE + 60)])
    assert len(await rows(still)) == 3


async def test_a_batch_that_is_written_again_is_stored_once(still: Running) -> None:
    store = PostgresAudit(still.storage.database)
    batch = [AuditRecord(AuditEvent.TASK_CANCELED, "key:ci", subject="t1"), AuditRecord(AuditEvent.TASK_ANSWERED)]
    await store.write(batch)
    await store.write(batch)
    assert sorted(row["event"] for row in await rows(still)) == ["task_answered", "task_canceled"]


async def test_a_record_is_stored_with_everything_it_says(still: Running) -> None:
    given = AuditRecord(
        AuditEvent.TASK_ANSWERED, "user:a:1", "oauth", "::1", "t1", "because", {"owner": "key:ci"}, at=MINUTE
    )
    await PostgresAudit(still.storage.database).write([given])
    [row] = await rows(still)
    assert json.loads(row.pop("detail")) == {"owner": "key:ci"}
    assert row.pop("at").timestamp() == MINUTE
    assert row == {
        "id": given.id,
        "event": "task_answered",
        "principal": "user:a:1",
        "via": "oauth",
        "source": "::1",
        "subject": "t1",
        "reason": "because",
        "count": 1,
    }


LARGE = "".join(chr(0x10000 + number * 7919 % 0x50000) for number in range(LONGEST))
"""Four bytes a character, and nothing in it that could be compressed."""


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "x" * 10_000, "\x1b]0;title\x07", LARGE])
async def test_any_text_of_a_caller_can_be_stored(still: Running, text: str) -> None:
    store = PostgresAudit(still.storage.database)
    await store.write([AuditRecord(AuditEvent.TASK_CANCELED, text, text, text, text, text, {"text": text})])
    await store.write([refusal(text, text), AuditRecord(AuditEvent.ADMITTED, text, "key", text, at=MINUTE)])
    assert len(await rows(still)) == 3


async def test_a_record_of_a_transaction_is_stored_with_it_or_not_at_all(still: Running, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await record(connection, [AuditRecord(AuditEvent.GRANT_CREATED, "user:a:1", subject="grant:1")])
        await transaction.rollback()
        assert await rows(still) == []
        async with connection.transaction():
            await record(connection, [AuditRecord(AuditEvent.GRANT_CREATED, "user:a:1", subject="grant:2")])
            await record(connection, [])
    finally:
        await connection.close()
    [row] = await rows(still)
    assert (row["event"], row["subject"]) == ("grant_created", "grant:2")


async def test_old_rows_dead_keys_and_spent_revocations_are_removed_in_chunks(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "CHUNK", 2)
    monkeypatch.setattr(removing, "BETWEEN", 0.0)
    database = still.storage.database
    await database.execute(
        "INSERT INTO audit (id, at, event) SELECT 'a' || n, now() - n * interval '1 day', 'task_canceled'"
        " FROM generate_series(80, 99) n"
    )
    await database.execute(
        "INSERT INTO api_keys (id, name, hash, scopes, created_at, expires_at, revoked_at)"
        " SELECT name, name, sha256(''), '{}', now(), now() + expires, now() + revoked FROM (VALUES"
        " ('living', NULL, NULL), ('far', interval '1 day', NULL), ('revoked lately', NULL, interval '-89 days'),"
        " ('expired long ago', interval '-91 days', NULL), ('revoked long ago', interval '1 day', interval '-91 days'))"
        " AS k(name, expires, revoked)"
    )
    await database.execute(
        "INSERT INTO revocations (subject, at, until, version) VALUES ('spent', now(), now() - interval '2 hours', 1),"
        " ('fresh', now(), now() + interval '1 hour', 1)"
    )
    assert await IdentityRetention(database, audit=90 * DAY).retire() == 10 + 2 + 1
    assert await database.fetchval("SELECT count(*) FROM audit") == 10
    assert {row["id"] for row in await database.fetch("SELECT id FROM api_keys")} == {"living", "far", "revoked lately"}
    assert [row["subject"] for row in await database.fetch("SELECT subject FROM revocations")] == ["fresh"]

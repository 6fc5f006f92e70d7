"""The audit in Postgres."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from asya_crds import jsontext
from asya_crds.readable import readable
from asya_gateway.domain.identity.audit import AuditRecord, refusals
from asya_gateway.storage.database import AnyConnection, Database
from asya_gateway.storage.removing import in_chunks

LONGEST = 512
"""Characters of a text. Most come from callers."""
LONGEST_INDEXED = 128
"""Characters of a source and a reason. An entry of an index has room for 2,700 bytes."""

_COLUMNS = "id, at, event, principal, via, source, subject, reason, detail, count"
_ROWS = f"""
SELECT id, coalesce(to_timestamp(at), clock_timestamp()) AS at, event, principal, via, source, subject, reason,
       detail, count
FROM unnest($1::text[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::json[], $10::bigint[]) AS r({_COLUMNS})
"""

# Several pods count the same refusal in the same row, in one order, so that they cannot deadlock.
_COUNT = f"""
INSERT INTO audit AS a ({_COLUMNS}) {_ROWS} ORDER BY at, source, reason
ON CONFLICT (at, source, reason) WHERE event = 'refused' DO UPDATE SET count = a.count + excluded.count
"""

# A row that exists was written by an earlier attempt, or is the same admission seen by another pod.
_INSERT = f"INSERT INTO audit ({_COLUMNS}) {_ROWS} ORDER BY id ON CONFLICT DO NOTHING"

_REMOVE = """
DELETE FROM audit WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM audit WHERE at < now() - $1::interval ORDER BY at, id LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
_FORGET_KEYS = """
DELETE FROM api_keys WHERE id = ANY (ARRAY(
    SELECT id FROM api_keys WHERE least(revoked_at, expires_at) < now() - $1::interval
    LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
_FORGET_REVOCATIONS = """
DELETE FROM revocations WHERE subject = ANY (ARRAY(
    SELECT subject FROM revocations WHERE until < now() - $1::interval
    ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
_MARGIN = timedelta(hours=1)
"""For how long a revocation is kept after its time, in case that a clock is wrong."""


async def record(connection: AnyConnection, records: Sequence[AuditRecord]) -> None:
    """Store records in the caller's transaction, which `say`s them after its commit. Refusals do not belong into
    one."""
    if records:
        await connection.execute(_INSERT, *_columns(records))


class PostgresAudit:
    """AuditStore on the table audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, records: Sequence[AuditRecord]) -> None:
        """Store records in two statements."""
        counted, others = refusals(records)
        if others:
            await self._database.execute(_INSERT, *_columns(others))
        if counted:
            await self._database.execute(_COUNT, *_columns(counted))


class IdentityRetention:
    """Removes old rows in chunks."""

    def __init__(self, database: Database, *, audit: float) -> None:
        self._database = database
        self._audit = timedelta(seconds=audit)

    async def retire(self) -> int:
        """Remove audit rows of that age, keys that ended so long ago, and revocations that no longer matter; returns
        how many rows."""
        removed = 0
        for sql, age in ((_REMOVE, self._audit), (_FORGET_KEYS, self._audit), (_FORGET_REVOCATIONS, _MARGIN)):
            removed += await in_chunks(self._database, sql, age)
        return removed


def _columns(records: Sequence[AuditRecord]) -> tuple[list[Any], ...]:
    rows = [
        (
            each.id,
            each.at,
            each.event.value,
            _text(each.principal),
            _text(each.via),
            _text(each.source, LONGEST_INDEXED),
            _text(each.subject),
            _text(each.reason, LONGEST_INDEXED),
            jsontext.dumps(dict(each.detail)) if each.detail else None,
            each.count,
        )
        for each in records
    ]
    return tuple(list(column) for column in zip(*rows, strict=True))


def _text(text: str | None, longest: int = LONGEST) -> str | None:
    """A text that PostgreSQL stores and a terminal shows."""
    return None if text is None else readable(text)[:longest]

"""Revocations in Postgres: written with what they revoke, read by every pod."""

from collections.abc import Iterable

from asya_gateway.domain.identity.revocations import Revocation
from asya_gateway.storage.database import AnyConnection, Database
from asya_gateway.storage.identity.versions import REVOCATIONS, raise_version

PAGE = 5_000

# A subject that is revoked again is remembered for as long as either revocation needs, and gets the new version, so
# that pods learn of it.
_REVOKE = """
INSERT INTO revocations (subject, at, until, version)
SELECT subject, clock_timestamp(), clock_timestamp() + $2 * interval '1 second', $3
FROM unnest($1::text[]) AS r(subject) ORDER BY subject
ON CONFLICT (subject) DO UPDATE
SET until = greatest(revocations.until, excluded.until), version = excluded.version
"""

_SINCE = f"""
SELECT subject, version, extract(epoch FROM until)::float8 AS until FROM revocations
WHERE (version, subject) > ($1, $2) ORDER BY version, subject LIMIT {PAGE}
"""


async def revoke(connection: AnyConnection, subjects: Iterable[str], remembered: float) -> None:
    """Revoke in the caller's transaction, in force on every pod within two seconds of its commit. `remembered` is for
    how many seconds something issued under the subjects could otherwise still be honoured.

    Make this the last statement of the transaction, because other revocations wait until it ends.
    """
    distinct = sorted(set(subjects))
    if not distinct:
        return
    version = await raise_version(connection, REVOCATIONS)
    await connection.execute(_REVOKE, distinct, remembered, version)


async def read_since(database: Database, version: int) -> tuple[list[Revocation], int]:
    """The revocations with a version above this one, and the highest version among them. Raises Unavailable."""
    found: list[Revocation] = []
    place = (version, "\U0010ffff")
    while True:
        rows = await database.fetch(_SINCE, *place)
        found += [Revocation(row["subject"], row["until"]) for row in rows]
        if rows:
            place = (rows[-1]["version"], rows[-1]["subject"])
        if len(rows) < PAGE:
            return found, place[0]

"""Codes, grants and refresh tokens in Postgres. Each use of one is one statement, so that of two replicas one is
first."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace

import asyncpg

from asya_crds import jsontext
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord, say
from asya_gateway.domain.identity.principals import Via
from asya_gateway.domain.oauth.clients import Client, ClientKind
from asya_gateway.domain.oauth.grants import Approved, Grant, Person, RefreshToken, owner_of
from asya_gateway.domain.oauth.ports import Ended, NewGrant, Proof
from asya_gateway.domain.oauth.rules import MOST_GRANTS
from asya_gateway.storage.database import Database
from asya_gateway.storage.identity.audit import record
from asya_gateway.storage.identity.oauth_ending import GrantEnding
from asya_gateway.storage.retrying import written_singly

PATIENCE = 2.0
"""Seconds for which a write is repeated while the connection is lost. All are idempotent by the secrets in them."""
LONGEST_LINE = 1_000
"""Most rotations that are followed from an old refresh token to the newest."""

_KEEP_CODE = """
INSERT INTO oauth_codes (code, client, kind, client_name, public_id, redirect_uri, challenge, scopes, resource, person,
                         claims, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + $12 * interval '1 second')
ON CONFLICT (code) DO NOTHING
"""

_OF_PROOF = "code = $1 AND client = $2 AND redirect_uri = $3 AND challenge = $4"

_PENDING = f"SELECT * FROM oauth_codes WHERE {_OF_PROOF} AND grant_id IS NULL AND expires_at > now()"

_REDEEM = f"""
WITH used AS (
    UPDATE oauth_codes SET grant_id = $5 WHERE {_OF_PROOF} AND grant_id IS NULL AND expires_at > now()
    RETURNING *
), granted AS (
    INSERT INTO oauth_grants (id, client, kind, client_name, public_id, scopes, resource, person, claims,
                              created_at, used_at, idle_at, ends_at, source)
    SELECT $5, client, kind, client_name, public_id, scopes, resource, person, claims, now(), now(),
           now() + least($7::float8, $8::float8) * interval '1 second', now() + $8::float8 * interval '1 second', $9
    FROM used
    RETURNING *
), refreshed AS (
    INSERT INTO oauth_refresh_tokens (token, grant_id, expires_at)
    SELECT $6, id, idle_at FROM granted WHERE $6::bytea IS NOT NULL
)
SELECT *, extract(epoch FROM ends_at)::float8 AS ends FROM granted
"""

_GRANT_TO = """
INSERT INTO oauth_grants (id, client, kind, client_name, public_id, scopes, resource,
                          created_at, used_at, idle_at, ends_at, source)
VALUES ($1, $2, $3, $4, $5, $6, $7, now(), now(), now() + $8::float8 * interval '1 second',
        now() + $8::float8 * interval '1 second', $9)
ON CONFLICT (id) DO UPDATE SET id = excluded.id
RETURNING *, extract(epoch FROM ends_at)::float8 AS ends
"""

_USED = f"""
SELECT grant_id FROM oauth_codes
WHERE code = $1 AND client = $2 AND grant_id IS NOT NULL
  AND (kind <> '{ClientKind.METADATA.value}' OR challenge = $3)
"""

_GRANT = "SELECT *, extract(epoch FROM ends_at)::float8 AS ends FROM oauth_grants WHERE id = $1"

# Everybody's newest grant is kept before anybody's second one: a client that describes itself by a document is the same
# for all its users, and one of them must not end the grants of the others. Without a login, everybody is an address.
_TOO_MANY = """
SELECT id FROM oauth_grants WHERE client = $1 AND revoked_at IS NULL AND idle_at > now()
ORDER BY row_number() OVER (PARTITION BY coalesce(person, source) ORDER BY used_at DESC), used_at DESC OFFSET $2
"""

_PRESENTED = """
SELECT held.*, extract(epoch FROM held.ends_at)::float8 AS ends,
       extract(epoch FROM now() - token.rotated_at)::float8 AS rotated
FROM oauth_refresh_tokens AS token JOIN oauth_grants AS held ON held.id = token.grant_id
WHERE token.token = $1 AND token.expires_at > now() AND held.revoked_at IS NULL AND held.ends_at > now()
"""

# A token that expires in this moment still finds its successor.
_ROTATE = """
WITH old AS (
    UPDATE oauth_refresh_tokens AS token
    SET rotated_at = now(), sealed = $3, expires_at = greatest(expires_at, now() + interval '5 minutes')
    WHERE token = $1 AND rotated_at IS NULL AND expires_at > now()
    RETURNING grant_id
), used AS (
    UPDATE oauth_grants AS held
    SET used_at = now(), idle_at = least(now() + $4 * interval '1 second', held.ends_at)
    FROM old WHERE held.id = old.grant_id AND held.revoked_at IS NULL AND held.ends_at > now()
    RETURNING held.id, held.idle_at
)
INSERT INTO oauth_refresh_tokens (token, grant_id, expires_at) SELECT $2, id, idle_at FROM used
RETURNING true
"""

_LINE = """
SELECT token, sealed FROM oauth_refresh_tokens
WHERE grant_id = $1 AND (rotated_at IS NULL OR rotated_at > now() - $2 * interval '1 second')
ORDER BY rotated_at DESC NULLS FIRST LIMIT $3
"""


class PostgresGrants:
    """GrantStore on the tables oauth_codes, oauth_grants and oauth_refresh_tokens."""

    def __init__(self, database: Database, ending: GrantEnding, *, most_grants: int = MOST_GRANTS) -> None:
        self._database, self._ending, self._most = database, ending, most_grants

    async def keep_code(self, code: bytes, approved: Approved, seconds: float) -> None:
        """Keep what the code stands for."""
        client, person = approved.client, approved.person
        values = (
            code,
            client.key,
            client.kind.value,
            client.name,
            client.public_id,
            approved.redirect_uri,
            approved.challenge,
            sorted(approved.scopes),
            approved.resource,
            None if person is None else person.id,
            None if person is None else jsontext.dumps(dict(person.claims)),
            seconds,
        )
        await written_singly(lambda: self._database.execute(_KEEP_CODE, *values), PATIENCE, "a code")

    async def pending(self, code: bytes, proof: Proof) -> Approved | None:
        """What an unused code stands for."""
        row = await self._database.fetchrow(_PENDING, code, *_columns(proof))
        if row is None:
            return None
        client = Client(row["client"], ClientKind(row["kind"]), row["client_name"], public_id=row["public_id"])
        scopes, person = frozenset(row["scopes"]), _person_of(row)
        return Approved(client, row["redirect_uri"], row["challenge"], scopes, row["resource"], person)

    async def redeem(self, code: bytes, proof: Proof, new: NewGrant) -> Grant | None:
        """Use up the code. RFC 6749, section 4.1.2: one that is presented again ends what it gave."""
        terms = (new.id, new.refresh, new.idle, new.age, new.source)
        row = await self._made(new, _REDEEM, code, *_columns(proof), *terms)
        return await self._already_used(code, proof, new) if row is None else _grant_of(row)

    async def grant_to(self, client: Client, scopes: frozenset[str], resource: str, new: NewGrant) -> Grant:
        """A client's grant to itself. It has a row like every other, so that it is listed, revoked and audited."""
        about = (client.key, client.kind.value, client.name, client.public_id)
        row = await self._made(new, _GRANT_TO, new.id, *about, sorted(scopes), resource, new.age, new.source)
        assert row is not None, "it depends on nothing"
        return _grant_of(row)

    async def _made(self, new: NewGrant, statement: str, *values: object) -> asyncpg.Record | None:
        """Run a statement that makes a grant, with its record; None if it makes none."""
        note = AuditRecord(AuditEvent.GRANT_CREATED, via=Via.OAUTH, source=new.source, subject=f"grant:{new.id}")

        async def once() -> asyncpg.Record | None:
            async with self._database.connection() as connection, connection.transaction():
                row = await connection.fetchrow(statement, *values)
                if row is not None:
                    await record(connection, [_described(note, row)])
                return row

        row = await written_singly(once, PATIENCE, "a grant")
        if row is not None:
            say(_described(note, row))
            await self._make_room(row["client"], new.source)
        return row

    async def _already_used(self, code: bytes, proof: Proof, new: NewGrant) -> Grant | None:
        made = await self._database.fetchval(_USED, code, proof.client, proof.challenge)
        if made == new.id:
            # This very request did it, and the answer was lost.
            row = await self._database.fetchrow(_GRANT, new.id)
            return None if row is None else _grant_of(row)
        await self._replayed(made, proof.client, new.source)
        return None

    async def presented_again(self, code: bytes, client: str, challenge: str | None, source: str) -> None:
        """A code without all that must come with it."""
        await self._replayed(await self._database.fetchval(_USED, code, client, challenge), client, source)

    async def _replayed(self, made: str | None, client: str, source: str) -> None:
        if made is not None:
            await self._ending.end([made], Ended.CODE_REPLAYED, client, source)

    async def _make_room(self, client: str, source: str) -> None:
        """End the least recently used grants beyond the limit, those of persons with many first. If it cannot be done
        now, the next grant does it."""
        with contextlib.suppress(Unavailable):
            rows = await self._database.fetch(_TOO_MANY, client, self._most)
            await self._ending.end([row["id"] for row in rows], Ended.TOO_MANY, client, source)

    async def presented(self, refresh: bytes) -> RefreshToken | None:
        """A refresh token of a living grant."""
        row = await self._database.fetchrow(_PRESENTED, refresh)
        return None if row is None else RefreshToken(_grant_of(row), row["rotated"])

    async def rotate(self, refresh: bytes, successor: bytes, sealed: bytes, idle: float) -> bool:
        """Replace the newest refresh token of a line. False after a lost answer, too: the line has the successor."""
        values = (refresh, successor, sealed, idle)
        done = await written_singly(lambda: self._database.fetchval(_ROTATE, *values), PATIENCE, "a refresh token")
        return bool(done)

    async def line(self, grant_id: str, seconds: float) -> Mapping[bytes, bytes | None]:
        """The newest refresh token of a grant, and those before it that were rotated a short while ago."""
        rows = await self._database.fetch(_LINE, grant_id, seconds, LONGEST_LINE)
        return {row["token"]: row["sealed"] for row in rows}

    async def end(self, grant_id: str, why: Ended, client: str, source: str) -> None:
        """Revoke a grant on every pod."""
        await self._ending.end([grant_id], why, client, source)


def _columns(proof: Proof) -> tuple[str, str, str]:
    return proof.client, proof.redirect_uri, proof.challenge


def _grant_of(row: asyncpg.Record) -> Grant:
    return Grant(
        id=row["id"],
        client=row["client"],
        kind=ClientKind(row["kind"]),
        scopes=frozenset(row["scopes"]),
        resource=row["resource"],
        ends_at=row["ends"],
        person=_person_of(row),
    )


def _described(note: AuditRecord, row: asyncpg.Record) -> AuditRecord:
    owner = owner_of(row["client"], ClientKind(row["kind"]), row["id"], row["person"])
    detail = {"client": f"client:{row['client']}", "scopes": row["scopes"], "resource": row["resource"]}
    return replace(note, principal=owner, detail=detail)


def _person_of(row: asyncpg.Record) -> Person | None:
    if row["person"] is None:
        return None
    return Person(row["person"], jsontext.loads(row["claims"] or "{}"))

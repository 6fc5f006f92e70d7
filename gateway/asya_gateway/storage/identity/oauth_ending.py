"""The end of grants and clients before their time, in force on every pod within two seconds."""

from collections.abc import Sequence

from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord, say
from asya_gateway.domain.identity.principals import Via
from asya_gateway.domain.oauth.ports import Ended
from asya_gateway.storage.database import AnyConnection, Database
from asya_gateway.storage.identity.audit import record
from asya_gateway.storage.identity.revocations import revoke
from asya_gateway.storage.retrying import written_singly

PATIENCE = 2.0
_EVENT = AuditEvent.GRANT_REVOKED
MARGIN = 300.0
"""Seconds beyond the life of an access token for which a revocation is remembered: clocks differ."""
LONGEST_REMEMBERED = 86_400.0 + MARGIN
"""For a program that does not know the life of an access token: no setting permits a longer one."""

# Grants are locked in the order of their ids. One without a row is revoked by its id alone.
_END = """
WITH living AS MATERIALIZED (
    SELECT id FROM oauth_grants WHERE id = ANY ($1) AND revoked_at IS NULL ORDER BY id FOR UPDATE
)
UPDATE oauth_grants AS held SET revoked_at = now() FROM living WHERE held.id = living.id
"""

_OF_CLIENT = "SELECT id FROM oauth_grants WHERE client = $1 AND revoked_at IS NULL AND idle_at > now() ORDER BY id"
_FORGET_CODES = "DELETE FROM oauth_codes WHERE client = $1 AND grant_id IS NULL"
_FORGET_CODES_OF_OWNER = """
DELETE FROM oauth_codes
WHERE grant_id IS NULL AND (person = $1 OR person IS NULL AND kind <> 'metadata' AND 'client:' || client = $1)
"""
_FORGET_LOGINS = "DELETE FROM oauth_logins WHERE person = $1"
# What `owner_of` says, for every grant at once.
_OF_OWNER = """
SELECT id FROM oauth_grants
WHERE revoked_at IS NULL AND idle_at > now()
  AND coalesce(person, 'client:' || client || CASE kind WHEN 'metadata' THEN ':' || id ELSE '' END) = $1
ORDER BY id
"""
_REMOVE_CLIENT = "DELETE FROM oauth_clients WHERE key = $1 RETURNING true"


class GrantEnding:
    """Revokes grants in a gateway. `token_ttl` is the life of an access token, in seconds."""

    def __init__(self, database: Database, token_ttl: float) -> None:
        self._database, self._remembered = database, token_ttl + MARGIN

    async def end(self, grants: Sequence[str], why: Ended, client: str, source: str) -> None:
        """Revoke these grants, in one transaction. The client with this key asked for it or caused it, from this
        address. Raises Unavailable."""
        if not grants:
            return
        by = f"client:{client}"
        notes = [AuditRecord(_EVENT, by, Via.OAUTH, source, f"grant:{grant}", why.value) for grant in grants]

        async def once() -> None:
            async with self._database.connection() as connection, connection.transaction():
                await end_grants(connection, notes, self._remembered)

        await written_singly(once, PATIENCE, "a revocation")
        for note in notes:
            say(note)


async def end_grants(connection: AnyConnection, notes: Sequence[AuditRecord], remembered: float) -> None:
    """Revoke the grants that these records name, in the caller's transaction."""
    subjects = [note.subject for note in notes if note.subject is not None]
    await connection.execute(_END, [subject.removeprefix("grant:") for subject in subjects])
    await record(connection, notes)
    await revoke(connection, subjects, remembered)


async def end_client(connection: AnyConnection, key: str, by: str, remembered: float) -> tuple[bool, int]:
    """Revoke a client and its grants; whether it had a row, and how many grants. Its id stays unknown for ever, unless
    it is the URL of a document: then only what was granted ends, and it may ask again."""
    async with connection.transaction():
        known = bool(await connection.fetchval(_REMOVE_CLIENT, key))
        # Codes first: one that is being redeemed at this moment is waited for, and its grant is found below.
        await connection.execute(_FORGET_CODES, key)
        grants = [row["id"] for row in await connection.fetch(_OF_CLIENT, key)]
        subject = f"client:{key}"
        if known:
            await record(connection, [AuditRecord(AuditEvent.CLIENT_REVOKED, by, subject=subject)])
        notes = [ended_by(grant, by) for grant in grants]
        await connection.execute(_END, grants)
        await record(connection, notes)
        revoked = [subject] if known else []
        await revoke(connection, [*revoked, *(f"grant:{grant}" for grant in grants)], remembered)
    return known, len(grants)


async def end_owner(connection: AnyConnection, owner: str, by: str, remembered: float) -> int:
    """Revoke everything that was granted to clients for one owner; returns how many grants. Authorizations of this
    owner that are under way end, too; the provider decides whether a person can log in again."""
    async with connection.transaction():
        await connection.execute(_FORGET_LOGINS, owner)
        # A code that is being redeemed at this moment is waited for, and its grant is found below.
        await connection.execute(_FORGET_CODES_OF_OWNER, owner)
        grants = [row["id"] for row in await connection.fetch(_OF_OWNER, owner)]
        await end_grants(connection, [ended_by(grant, by) for grant in grants], remembered)
    return len(grants)


def ended_by(grant: str, by: str) -> AuditRecord:
    """The record of a grant that an operator ends."""
    return AuditRecord(_EVENT, by, subject=f"grant:{grant}", reason=Ended.REVOKED.value)

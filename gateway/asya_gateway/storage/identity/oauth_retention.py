"""Removes what has expired at the authorization server, in chunks."""

from asya_gateway.domain.oauth.rules import REGISTRATION_SECONDS
from asya_gateway.storage.database import Database
from asya_gateway.storage.removing import in_chunks

RETIRE_EVERY = 300.0
CODES_KEPT = 3_600.0
"""Seconds after its end for which a code is kept, to notice a second use."""
GRANTS_KEPT = 86_400.0
"""Seconds after its end for which a grant is listed."""
SEALED_KEPT = 300.0
"""Seconds after its rotation for which a refresh token still leads to its successor. Longer than the grace."""

_REMOVE = """
DELETE FROM {table} WHERE {key} IN (
    SELECT {key} FROM {table} WHERE {old} ORDER BY {order} LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
_BEFORE = "{} < now() - $1 * interval '1 second'"

_CODES = _REMOVE.format(table="oauth_codes", key="code", old=_BEFORE.format("expires_at"), order="expires_at")
_LOGINS = _REMOVE.format(table="oauth_logins", key="state", old=_BEFORE.format("expires_at"), order="expires_at")
_REFRESH = _REMOVE.format(
    table="oauth_refresh_tokens", key="token", old=_BEFORE.format("expires_at"), order="expires_at"
)
_GRANTS = _REMOVE.format(table="oauth_grants", key="id", old=_BEFORE.format("idle_at"), order="idle_at")

# A client whose registration is gone, but that still refreshes, would register again and again.
_REGISTRATIONS = _REMOVE.format(
    table="oauth_clients",
    key="key",
    old="kind = 'registered' AND " + _BEFORE.format("created_at") + " AND NOT EXISTS (SELECT FROM oauth_grants AS held"
    " WHERE held.client = oauth_clients.key AND held.revoked_at IS NULL AND held.idle_at > now())",
    order="created_at",
)

_UNSEAL = f"""
UPDATE oauth_refresh_tokens SET sealed = NULL WHERE token IN (
    SELECT token FROM oauth_refresh_tokens WHERE sealed IS NOT NULL AND {_BEFORE.format("rotated_at")}
    ORDER BY rotated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""

_TURN = (
    (_CODES, CODES_KEPT),
    (_LOGINS, 0.0),
    (_REFRESH, 0.0),
    (_UNSEAL, SEALED_KEPT),
    (_GRANTS, GRANTS_KEPT),
    (_REGISTRATIONS, REGISTRATION_SECONDS),
)


class OAuthRetention:
    """Several processes may do this at the same time; each skips rows that another has locked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def retire(self) -> int:
        """Remove what is no longer needed; returns how many rows changed."""
        changed = 0
        for statement, age in _TURN:
            changed += await in_chunks(self._database, statement, age)
        return changed

"""Lists of clients and grants, for the command line on a session of its own."""

from dataclasses import dataclass
from datetime import datetime

from asya_gateway.domain.oauth.clients import ClientKind
from asya_gateway.domain.oauth.grants import owner_of
from asya_gateway.storage.database import AnyConnection

MOST_LISTED = 10_000

_LIVING = "revoked_at IS NULL AND idle_at > now()"

# Clients that are described by a document have no row of their own.
_CLIENTS = f"""
WITH granted AS (
    SELECT client, min(kind) AS kind, min(client_name) AS name, min(public_id) AS public_id, count(*) AS grants,
           max(used_at) AS used_at
    FROM oauth_grants WHERE {_LIVING} GROUP BY client
)
SELECT coalesce(c.key, g.client) AS key, coalesce(c.kind, g.kind) AS kind, coalesce(c.name, g.name) AS name,
       coalesce(c.public_id, g.public_id) AS public_id, coalesce(c.scopes, '{{}}') AS scopes,
       coalesce(c.redirect_uris, '{{}}') AS redirect_uris, coalesce(g.grants, 0) AS grants, c.created_at, g.used_at
FROM oauth_clients AS c FULL JOIN granted AS g ON g.client = c.key
WHERE $1 OR g.grants > 0 OR c.kind = '{ClientKind.OPERATOR.value}'
ORDER BY kind, name, key LIMIT {MOST_LISTED}
"""

_GRANTS = f"""
SELECT id, client, kind, client_name, scopes, resource, person, created_at, used_at, idle_at
FROM oauth_grants WHERE {_LIVING} AND ($1::text IS NULL OR client = $1)
ORDER BY used_at DESC, id LIMIT {MOST_LISTED}
"""


@dataclass(frozen=True, slots=True)
class ListedClient:
    """A client with the number of its living grants. Without a row of its own, `created_at` is None."""

    key: str
    kind: ClientKind
    name: str
    public_id: str | None
    scopes: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    grants: int
    created_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """A living grant. `owner` is the principal that it makes."""

    id: str
    client: str
    client_name: str
    owner: str
    scopes: tuple[str, ...]
    resource: str
    created_at: datetime
    used_at: datetime
    idle_at: datetime


async def list_clients(connection: AnyConnection, *, every: bool = False) -> list[ListedClient]:
    """Clients of operators and those that hold grants; with `every`, registrations that nobody uses too."""
    return [
        ListedClient(
            **{
                **row,
                "kind": ClientKind(row["kind"]),
                "scopes": tuple(row["scopes"]),
                "redirect_uris": tuple(row["redirect_uris"]),
            }
        )
        for row in await connection.fetch(_CLIENTS, every)
    ]


async def list_grants(connection: AnyConnection, client: str | None = None) -> list[ListedGrant]:
    """The living grants, of one client (its key) or of all, the last used first."""
    return [
        ListedGrant(
            id=row["id"],
            client=row["client"],
            client_name=row["client_name"],
            owner=owner_of(row["client"], ClientKind(row["kind"]), row["id"], row["person"]),
            scopes=tuple(row["scopes"]),
            resource=row["resource"],
            created_at=row["created_at"],
            used_at=row["used_at"],
            idle_at=row["idle_at"],
        )
        for row in await connection.fetch(_GRANTS, client)
    ]

"""The work of `asya auth client` and `asya auth grant`."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asya_cli.auth.arguments import acting, check_each
from asya_cli.errors import CliError, UsageProblem
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, MOST_SCOPES
from asya_gateway.domain.oauth.clients import (
    CODE_GRANT,
    CREDENTIALS_GRANT,
    LONGEST_NAME,
    MOST_REDIRECT_URIS,
    REFRESH_GRANT,
    Client,
    ClientKind,
    key_of,
)
from asya_gateway.domain.oauth.redirects import DEFAULT_SCHEMES, check_redirect_uri
from asya_gateway.domain.oauth.secrets import CLIENT_SECRET_PREFIX, digest, new_client_id, new_secret
from asya_gateway.identity.fields import check_scope
from asya_gateway.storage.identity.oauth_clients import created, insert_client
from asya_gateway.storage.identity.oauth_ending import LONGEST_REMEMBERED, end_client, end_grants, end_owner, ended_by

if TYPE_CHECKING:
    from asyncpg import Connection

_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Made:
    """A new client, and the secrets that are shown once."""

    client: Client
    client_id: str = field(repr=False)
    secret: str | None = field(repr=False)


def made(name: str, scopes: list[str], redirect_uris: list[str], *, secret: bool) -> Made:
    """Checks the arguments. Raises UsageProblem naming the argument and what was expected."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageProblem(f"NAME: expected 1 to {LONGEST_NAME} printable characters")
    check_each("--scope", scopes, check_scope, MOST_SCOPES)
    check_each("--redirect-uri", redirect_uris, _check_redirect_uri, MOST_REDIRECT_URIS)
    if not redirect_uris and not secret:
        raise UsageProblem("expected --redirect-uri for the code flow, --secret for client_credentials, or both")
    client_id, text = new_client_id(), new_secret(CLIENT_SECRET_PREFIX) if secret else None
    return Made(
        Client(
            key=key_of(client_id),
            kind=ClientKind.OPERATOR,
            name=name,
            redirect_uris=tuple(redirect_uris),
            scopes=frozenset(scopes) or COMMON_SCOPES,
            grant_types=_grant_types(code=bool(redirect_uris), credentials=secret),
            secret=None if text is None else digest(text),
            # Whoever knows the id of a client without a secret is the client.
            public_id=client_id if secret else None,
        ),
        client_id,
        text,
    )


async def store(connection: "Connection", client: Client) -> None:
    """Store a client. Raises CliError."""
    async with connection.transaction():
        if not await insert_client(connection, client, created(client, await acting(connection))):
            raise CliError("there are too many clients; revoke some first")


async def revoke(connection: "Connection", which: str) -> tuple[bool, int]:
    """Revoke a client; whether it had a row, and the number of its grants. Raises CliError."""
    known, grants = await end_client(connection, key_in(which), await acting(connection), LONGEST_REMEMBERED)
    if not known and not grants:
        raise CliError("no client has this key or id; `asya auth client list --all` shows them")
    return known, grants


async def revoke_grant(connection: "Connection", grant: str) -> None:
    """Revoke a living grant. Raises CliError."""
    living = "SELECT true FROM oauth_grants WHERE id = $1 AND revoked_at IS NULL AND idle_at > now() FOR UPDATE"
    async with connection.transaction():
        if not _HASH.fullmatch(grant) or not await connection.fetchval(living, grant):
            raise CliError("no living grant has this id; `asya auth grant list` shows them")
        await end_grants(connection, [ended_by(grant, await acting(connection))], LONGEST_REMEMBERED)


async def revoke_grants_of(connection: "Connection", owner: str) -> int:
    """Revoke every living grant of an owner; returns how many. Raises CliError."""
    grants = await end_owner(connection, owner, await acting(connection), LONGEST_REMEMBERED)
    if not grants:
        raise CliError("nothing is granted to clients of this owner; `asya auth grant list` shows owners")
    return grants


def key_in(which: str) -> str:
    """The key of a client that is named by its key or by its id."""
    return which if _HASH.fullmatch(which) else key_of(which)


def _grant_types(*, code: bool, credentials: bool) -> frozenset[str]:
    found = {CODE_GRANT, REFRESH_GRANT} if code else set[str]()
    return frozenset(found | {CREDENTIALS_GRANT} if credentials else found)


def _check_redirect_uri(uri: str) -> None:
    """Raises ValueError. An operator names the scheme of an application by naming its URI."""
    check_redirect_uri(uri, (*DEFAULT_SCHEMES, uri.partition(":")[0]))

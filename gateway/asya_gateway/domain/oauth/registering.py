"""Clients that register themselves (RFC 7591), and finding the client of a request."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import Overloaded
from asya_gateway.domain.identity.scopes import COMMON_SCOPES
from asya_gateway.domain.oauth.clients import (
    LONGEST_CLIENT_ID,
    Client,
    ClientKind,
    client_of_document,
    is_document_url,
    key_of,
)
from asya_gateway.domain.oauth.errors import InvalidClient, InvalidToken
from asya_gateway.domain.oauth.metadata import NO_SECRET, Description, read_description
from asya_gateway.domain.oauth.ports import ClientStore, Documents
from asya_gateway.domain.oauth.rules import MOST_CLIENTS, OAuthRules
from asya_gateway.domain.oauth.secrets import CLIENT_SECRET_PREFIX, digest, new_client_id, new_secret


@dataclass(frozen=True, slots=True)
class Registered:
    """A new client, and the secrets that only this answer contains."""

    client: Client
    client_id: str = field(repr=False)
    auth_method: str
    issued_at: int
    secret: str | None = field(default=None, repr=False)


class Clients:
    """Makes clients and finds them. `login`: whether persons decide what a client is granted. Without `documents`, no
    client is described by a metadata document."""

    def __init__(
        self,
        store: ClientStore,
        rules: OAuthRules,
        clock: Clock,
        *,
        documents: Documents | None = None,
        login: bool = False,
    ) -> None:
        self._store, self._rules, self._clock = store, rules, clock
        self._documents, self._login = documents, login

    def check_registration_token(self, token: str | None) -> None:
        """The initial access token of RFC 7591, section 3. Raises InvalidToken."""
        expected = self._rules.registration_token
        given = (token or "").encode("utf-8", "surrogateescape")
        if expected and not hmac.compare_digest(given, expected.encode()):
            raise InvalidToken("expected the registration token of this gateway as bearer token")

    async def register(self, document: Mapping[str, Any], source: str = "") -> Registered:
        """Make a client. Raises InvalidRedirectUri, InvalidClientMetadata, Overloaded."""
        described = read_description(document, self._rules.redirect_schemes)
        secret = None if described.auth_method == NO_SECRET else new_secret(CLIENT_SECRET_PREFIX)
        client_id = new_client_id()
        client = Client(
            key=key_of(client_id),
            kind=ClientKind.REGISTERED,
            name=described.name,
            redirect_uris=described.redirect_uris,
            scopes=self._scopes(described),
            grant_types=described.grant_types,
            secret=None if secret is None else digest(secret),
        )
        if not await self._store.register(client, MOST_CLIENTS, source):
            raise Overloaded("too many clients are registered")
        return Registered(client, client_id, described.auth_method, int(self._clock()), secret)

    def _scopes(self, described: Description) -> frozenset[str]:
        """What the client may ask for. A registration that asks for nothing grantable gets the default, as RFC 7591,
        section 2, permits."""
        wanted = described.scopes or COMMON_SCOPES
        return wanted if self._login else (wanted & COMMON_SCOPES) or COMMON_SCOPES

    async def authorizing(self, client_id: str, source: str = "") -> Client:
        """The client of an authorization request from this address, with its redirect URIs. Raises InvalidClient,
        TooManyRequests, Overloaded, Unavailable."""
        if is_document_url(client_id):
            if self._documents is None or len(client_id) > LONGEST_CLIENT_ID:
                raise InvalidClient
            return await self._documents.client(client_id, source)
        return await self._stored(client_id)

    async def authenticated(self, client_id: str, secret: str | None) -> Client:
        """The client of a token request. Raises InvalidClient, Unavailable."""
        if is_document_url(client_id) and len(client_id) <= LONGEST_CLIENT_ID:
            client = client_of_document(client_id)
        else:
            client = await self._stored(client_id)
        if not client.is_proved_by(secret):
            raise InvalidClient
        return client

    async def _stored(self, client_id: str) -> Client:
        found = await self._store.find(key_of(client_id)) if len(client_id) <= LONGEST_CLIENT_ID else None
        if found is None:
            raise InvalidClient
        return found

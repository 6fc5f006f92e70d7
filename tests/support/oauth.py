"""Replicas of the authorization server on one database, and what a client does with them."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from asya_gateway.domain.oauth.authorizing import Authorizing
from asya_gateway.domain.oauth.grants import Person
from asya_gateway.domain.oauth.ports import People
from asya_gateway.domain.oauth.registering import Clients, Registered
from asya_gateway.domain.oauth.rules import OAuthRules
from asya_gateway.domain.oauth.tokens import Issued, Presenter, Tokens
from asya_gateway.identity.own_tokens import OwnTokens
from asya_gateway.identity.sealing import SuccessorSealing
from asya_gateway.storage.clock import DatabaseClock
from asya_gateway.storage.database import Database
from asya_gateway.storage.identity.oauth_clients import PostgresClients
from asya_gateway.storage.identity.oauth_ending import GrantEnding
from asya_gateway.storage.identity.oauth_grants import PostgresGrants
from servers.ports import free_port

ISSUER = "https://gateway.example.com"
CALLBACK = "https://client.example/callback"
SECRET = "an-hmac-secret-of-at-least-32-bytes"


@dataclass
class Pkce:
    """A verifier and its challenge."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def challenge(self) -> str:
        hashed = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(hashed).decode().rstrip("=")


@dataclass
class Redeemed:
    """A client, with what it got for its code."""

    presenter: Presenter
    code: str
    pkce: Pkce
    issued: Issued

    @property
    def refresh(self) -> str:
        assert self.issued.refresh_token is not None
        return self.issued.refresh_token


class Replica:
    """The authorization server of one pod."""

    def __init__(
        self, database: Database, *, people: People | None = None, most_grants: int = 1000, **rules: Any
    ) -> None:
        self.database, self.rules = database, OAuthRules(**{"issuer": ISSUER, **rules})
        self.clock = DatabaseClock(database)
        self.access = OwnTokens(self.rules.issuer, [SECRET], self.clock, ttl=self.rules.token_ttl)
        self.ending = GrantEnding(database, self.rules.token_ttl)
        self.grants = PostgresGrants(database, self.ending, most_grants=most_grants)
        self.client_store = PostgresClients(database)
        login = people is not None
        self.clients = Clients(self.client_store, self.rules, self.clock, login=login)
        self.authorizing = Authorizing(self.clients, self.grants, self.rules, login=login)
        self.tokens = Tokens(self.grants, self.access, SuccessorSealing(), self.rules, people=people)

    async def register(self, **members: Any) -> Registered:
        return await self.clients.register({"redirect_uris": [CALLBACK], "client_name": "Test", **members})

    async def code(self, client_id: str, pkce: Pkce, person: Person | None = None, **more: str) -> str:
        """A code, as the redirect carries it."""
        parameters = {name: [value] for name, value in asked(client_id, pkce, **more).items()}
        target = await self.authorizing.target(parameters)
        uri = await self.authorizing.grant(self.authorizing.read(target, parameters), person)
        return query_of(uri)["code"]

    async def presenter(self, client_id: str, secret: str | None = None) -> Presenter:
        return Presenter(await self.clients.authenticated(client_id, secret), client_id, "192.0.2.1")

    async def redeem(self, presenter: Presenter, code: str, pkce: Pkce, **more: str) -> Issued:
        form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": pkce.verifier, **more}
        return await self.tokens.of_code(presenter, form)

    async def refresh(self, presenter: Presenter, token: str, **more: str) -> Issued:
        return await self.tokens.of_refresh(presenter, {"refresh_token": token, **more})

    async def authorized(self, *, person: Person | None = None, **more: str) -> Redeemed:
        """A new client that has been through the whole flow."""
        made, pkce = await self.register(), Pkce()
        code = await self.code(made.client_id, pkce, person, **more)
        presenter = await self.presenter(made.client_id)
        return Redeemed(presenter, code, pkce, await self.redeem(presenter, code, pkce))

    async def count(self, table: str, where: str = "true") -> int:
        return int(await self.database.fetchval(f"SELECT count(*) FROM {table} WHERE {where}"))


def oauth_settings(**changes: Any) -> dict[str, Any]:
    """Settings of a gateway that is its own authorization server, at the port that it will have."""
    port = free_port()
    return {
        "gateway_port": port,
        "mcp_oauth_enabled": True,
        "mcp_oauth_issuer": f"http://127.0.0.1:{port}",
        "mcp_oauth_secret": SECRET,
        "mcp_oauth_rate": 0,
        **changes,
    }


def asked(client_id: str, pkce: Pkce, **more: str) -> dict[str, str]:
    """The parameters of an authorization request."""
    return {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
        **more,
    }


def query_of(uri: str) -> Mapping[str, str]:
    """The parameters of a redirect, each of which occurs once."""
    found = parse_qs(urlsplit(uri).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}

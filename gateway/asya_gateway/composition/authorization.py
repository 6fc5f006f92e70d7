"""Assembles the authorization server of a process."""

import contextlib
import logging
from asyncio import create_task, gather
from collections.abc import AsyncGenerator
from pathlib import Path

from aiohttp import web

from asya_gateway.composition.issuers import Issuers, LoginIssuer
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.identity.audit import Audit
from asya_gateway.domain.identity.revocations import Revocations
from asya_gateway.domain.oauth.authorizing import Authorizing
from asya_gateway.domain.oauth.grants import Person
from asya_gateway.domain.oauth.registering import Clients
from asya_gateway.domain.oauth.rules import OAuthRules
from asya_gateway.domain.oauth.tokens import Tokens
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.identity.client_documents import ClientDocuments
from asya_gateway.identity.enriching import Enriching
from asya_gateway.identity.own_tokens import OwnTokens, OwnTokenVerifier
from asya_gateway.identity.sealing import SuccessorSealing
from asya_gateway.identity.upstream import Provider, Upstream
from asya_gateway.outbound.client import OutboundClient
from asya_gateway.protocols.http.sources import source_of
from asya_gateway.protocols.oauth.discovery import CALLBACK
from asya_gateway.protocols.oauth.endpoints import Endpoints
from asya_gateway.protocols.oauth.login import LoginRoutes
from asya_gateway.protocols.oauth.rates import SourceRates
from asya_gateway.protocols.oauth.routes import register_login, register_resources, register_server
from asya_gateway.settings import Settings
from asya_gateway.storage.identity.oauth_clients import PostgresClients
from asya_gateway.storage.identity.oauth_ending import GrantEnding
from asya_gateway.storage.identity.oauth_grants import PostgresGrants
from asya_gateway.storage.identity.oauth_logins import PostgresLogins
from asya_gateway.storage.identity.oauth_retention import RETIRE_EVERY, OAuthRetention
from asya_gateway.storage.removing import FIRST_TURN
from asya_gateway.storage.retrying import for_ever
from asya_gateway.storage.store import Storage

log = logging.getLogger(__name__)


class Authorization:
    """The parts of the authorization server. `verifier` judges the access tokens that it issues. `cache`: bytes of
    clients' documents; `counted`: of the names that each limit counts."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        revocations: Revocations,
        outbound: OutboundClient,
        issuers: Issuers,
        audit: Audit,
        *,
        cache: int = CACHE_BYTES,
        counted: int = CACHE_BYTES,
    ) -> None:
        self._settings = settings
        rules = _rules(settings)
        self._takes_documents = not rules.registration_token or bool(rules.client_hosts)
        per_minute = settings.mcp_oauth_rate
        self._documents = ClientDocuments(outbound, rules, per_minute=per_minute, cache=cache, counted=counted)
        people = None if issuers.login is None else EnrichedPeople(issuers.enriching)
        has_login = people is not None
        access = _own_tokens(settings, storage)
        self.verifier = OwnTokenVerifier(access, revocations)
        grants = PostgresGrants(storage.database, GrantEnding(storage.database, rules.token_ttl))
        store = PostgresClients(storage.database)
        clients = Clients(store, rules, storage.clock, documents=self._documents, login=has_login)
        authorizing = Authorizing(clients, grants, rules, login=has_login)
        tokens = Tokens(grants, access, SuccessorSealing(), rules, people=people)
        rates = SourceRates(per_minute, source_of, most_bytes=counted)
        self._login: LoginRoutes | None = None
        if issuers.login is not None and people is not None:
            upstream = _upstream(issuers.login, outbound, rules.issuer, storage.clock)
            logins = PostgresLogins(storage.database)
            self._login = LoginRoutes(authorizing, upstream, logins, people, rates, rules.issuer)
        begin = None if self._login is None else self._login.begin
        self._endpoints = Endpoints(
            clients, authorizing, tokens, rates, begin, audit, uncertain=lambda: revocations.uncertain
        )
        self._retention = OAuthRetention(storage.database)

    def register(self, app: web.Application) -> None:
        """Add the routes."""
        issuer = self._settings.mcp_oauth_issuer
        register_server(app, self._endpoints, issuer, documents=self._takes_documents)
        register_resources(app, issuer, [issuer])
        if self._login is not None:
            register_login(app, self._login)

    def tell(self) -> None:
        """Say loudly that nobody is asked who it is, if that is so."""
        if self._login is None and not self._settings.mcp_oauth_registration_token:
            log.warning(
                "OAuth without a login and with open registration: whoever reaches %s gets a token with mcp:read and "
                "mcp:invoke. Set ASYA_MCP_OAUTH_REGISTRATION_TOKEN, or let persons log in (docs/protocols/oauth.md)",
                self._settings.mcp_oauth_issuer,
            )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Removes what has expired, from time to time. The storage runs around it."""
        rounds = for_ever(self._retention.retire, RETIRE_EVERY, "oauth retention", first=FIRST_TURN)
        keeper = create_task(rounds, name="oauth retention")
        try:
            yield
        finally:
            keeper.cancel()
            await gather(keeper, return_exceptions=True)
            await self._documents.close()


class EnrichedPeople:
    """Implements People: scopes and caps of identity services and of roles."""

    def __init__(self, enriching: Enriching) -> None:
        self._enriching = enriching

    async def scopes_of(self, person: Person) -> frozenset[str] | None:
        """The scopes that a person holds now. Raises Unavailable."""
        return await self._enriching.scopes_of(person.id, person.claims)

    async def cap_of(self, person: Person) -> int | None:
        """How many tasks of the person may be open. Raises Unavailable."""
        return await self._enriching.cap_of(person.id, person.claims)


def _upstream(login: LoginIssuer, outbound: OutboundClient, issuer: str, clock: Clock) -> Upstream:
    service = login.service
    assert service.client_id is not None, "the configuration asks for it"
    provider = Provider(
        alias=service.alias,
        issuer=service.issuer,
        client_id=service.client_id,
        scopes=tuple(service.scopes),
        permission=login.permission,
        secret_file=None if service.client_secret_file is None else Path(service.client_secret_file),
    )
    return Upstream(provider, login.keys, outbound, issuer + CALLBACK, clock=clock)


def _rules(settings: Settings) -> OAuthRules:
    return OAuthRules(
        issuer=settings.mcp_oauth_issuer,
        token_ttl=settings.mcp_oauth_token_ttl,
        refresh_idle=settings.mcp_oauth_refresh_idle,
        refresh_age=settings.mcp_oauth_refresh_age,
        redirect_schemes=frozenset(settings.mcp_oauth_redirect_schemes),
        registration_token=settings.mcp_oauth_registration_token,
        client_hosts=frozenset(settings.mcp_oauth_client_hosts),
    )


def _own_tokens(settings: Settings, storage: Storage) -> OwnTokens:
    keys = (settings.mcp_oauth_secret, settings.mcp_oauth_secret_previous)
    return OwnTokens(
        settings.mcp_oauth_issuer,
        keys,
        storage.clock,
        ttl=settings.mcp_oauth_token_ttl,
        profile=settings.caller_claims,
    )

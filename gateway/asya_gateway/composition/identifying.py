"""Assembles what tells callers apart from the settings, and says at the start who may call."""

import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from functools import partial
from urllib.parse import urlsplit

from asya_crds.flow import Flow
from asya_gateway.composition.authorization import Authorization
from asya_gateway.composition.issuers import InvalidConfiguration, Issuers
from asya_gateway.composition.keys import Keys
from asya_gateway.composition.outbound import outbound_client
from asya_gateway.composition.web import Routes
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.flows import FlowTable
from asya_gateway.domain.oauth.resources import AUTHORIZE
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.identity.auditing import AuditTrail
from asya_gateway.identity.authenticating import Authenticating
from asya_gateway.identity.static_keys import StaticKeys
from asya_gateway.outbound.client import OutboundClient
from asya_gateway.protocols.http.admission import Admission
from asya_gateway.protocols.http.challenges import Challenges
from asya_gateway.protocols.http.policies import groups_of
from asya_gateway.protocols.oauth.routes import register_resources
from asya_gateway.settings import Mode, Settings
from asya_gateway.settings.auth import SHORTEST_KEY
from asya_gateway.storage.identity.audit import PostgresAudit
from asya_gateway.storage.store import Storage

log = logging.getLogger(__name__)

NAMED = 10
"""Flows that a warning names."""


class Identifying:
    """Who may call this process, and how that is found out. In mode mesh nothing is checked: the network protects its
    routes. `cache` are the bytes of the callers that are remembered, and as many those of the profiles and of clients'
    documents; `counted` those of the names that each limit counts. Raises InvalidConfiguration."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        outbound: OutboundClient | None = None,
        *,
        cache: int = CACHE_BYTES,
        counted: int = CACHE_BYTES,
    ) -> None:
        self._settings = settings
        self._cache, self._counted = cache, counted
        self.audit = AuditTrail(PostgresAudit(storage.database), storage.clock)
        self.closed = settings.closed and settings.gateway_mode is not Mode.MESH
        self._outbound = outbound or outbound_client(settings)
        self.issuers = Issuers(settings, self._outbound, storage.clock, cache=cache) if self.closed else None
        self.keys = Keys(settings, storage) if self.closed else None
        self.authorization = self._authorization(storage)
        self.authenticator = self._authenticating(storage.clock)

    def _authorization(self, storage: Storage) -> Authorization | None:
        if self.keys is None or self.issuers is None:
            return None
        if not self._settings.mcp_oauth_enabled:
            if self.issuers.login is not None:
                raise InvalidConfiguration("ASYA_GATEWAY_CONFIG: login: expected ASYA_MCP_OAUTH_ENABLED with it")
            return None
        return Authorization(
            self._settings,
            storage,
            self.keys.revocations,
            self._outbound,
            self.issuers,
            self.audit,
            cache=self._cache,
            counted=self._counted,
        )

    def _authenticating(self, clock: Clock) -> Authenticating | None:
        if self.keys is None or self.issuers is None:
            return None
        static = StaticKeys(mcp=self._settings.mcp_api_key, a2a=self._settings.a2a_api_key)
        # Tokens of other issuers come last, since every JWT looks like one.
        parts = (self.authorization, self.issuers)
        tokens = [each.verifier for each in parts if each is not None and each.verifier is not None]
        revocations = self.keys.revocations
        authenticating = Authenticating(
            [static, self.keys.verifier],
            tokens,
            [self.issuers.enriching],
            clock=clock,
            stale=lambda: revocations.stale,
            uncertain=lambda: revocations.uncertain,
            cache=self._cache,
        )
        revocations.on_revoked(authenticating.drop)
        self.keys.ring.on_change(authenticating.forget)
        self.issuers.on_change(authenticating.forget)
        return authenticating

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Runs what watches keys, issuers, revocations and the audit. The storage runs around it."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._outbound.close)
            stack.push_async_callback(self.audit.stop)
            await self.audit.start()
            if self.issuers is not None:
                await stack.enter_async_context(self.issuers.running())
            if self.keys is not None:
                await stack.enter_async_context(self.keys.running())
            if self.authorization is not None:
                await stack.enter_async_context(self.authorization.running())
            yield

    def on_revoked(self, end: Callable[[frozenset[str]], None]) -> None:
        """Have `end` called with the subjects of each revocation."""
        if self.keys is not None:
            self.keys.revocations.on_revoked(end)

    def revoked(self, subjects: Iterable[str]) -> bool:
        """Whether one of the subjects has been revoked, as far as is known now."""
        return self.keys is not None and self.keys.revocations.revoked(subjects)

    def stale(self) -> bool:
        """Whether revocations may have been missed for too long."""
        return self.keys is not None and self.keys.revocations.stale

    def admission(self) -> Admission:
        """The doors of the web application."""
        settings = self._settings
        revocations = None if self.keys is None else self.keys.revocations
        return Admission(
            self.authenticator,
            groups_of(settings.open_surfaces),
            Challenges(self._origin, self._auth_url),
            mesh_is_local=settings.gateway_mode is Mode.TESTING,
            audit=self.audit,
            revoked=self.revoked,
            uncertain=lambda: revocations is not None and revocations.uncertain,
        )

    def routes(self) -> list[Routes]:
        """Routes of the authorization server, if there is one; with other issuers alone, the metadata that names
        them."""
        if self.authorization is not None:
            return [self.authorization.register]
        if self.issuers is None or not self._origin:
            return []
        return [partial(register_resources, origin=self._origin, servers=self.issuers.urls)]

    @property
    def _auth_url(self) -> str:
        """Where callers get tokens: at our own server, or else at the first issuer."""
        if self.authorization is not None:
            return self._settings.mcp_oauth_issuer + AUTHORIZE
        return self.issuers.urls[0] if self.issuers is not None and self.issuers.urls else ""

    @property
    def _origin(self) -> str:
        """Where clients find the metadata of what is protected: at the issuer of our own server, or with other issuers
        at the public URL, if that is an origin. Never what a request's Host says."""
        settings = self._settings
        if self.authorization is not None:
            return settings.mcp_oauth_issuer
        named = self.issuers is not None and bool(self.issuers.urls)
        return settings.public_url if named and not urlsplit(settings.public_url).path else ""

    def tell(self, table: FlowTable) -> None:
        """Say in the log who may call. An open gateway says it loudly, with the flows whose `scopes` have no effect."""
        settings = self._settings
        if settings.gateway_mode is Mode.MESH:
            return
        for message in _mistakes(settings):
            log.warning("%s", message)
        if not self.closed:
            log.warning("%s", _open_warning(settings, [each.flow for each in table.flows.values()]))
            return
        if settings.open_surfaces:
            log.warning(
                "ASYA_OPEN_SURFACES: callers without a credential may use %s, except flows with scopes",
                " and ".join(sorted(settings.open_surfaces)),
            )
        if self.authorization is not None:
            self.authorization.tell()
        if self.issuers is not None and self.issuers.urls and not self._origin:
            log.info(
                "clients are not told at which issuer to log in (RFC 9728): ASYA_PUBLIC_URL is not set to an origin"
            )
        if settings.gateway_mode is Mode.TESTING:
            log.warning("mode testing: mesh routes answer programs of this machine only, and check no credential")


def _mistakes(settings: Settings) -> Iterator[str]:
    """Settings that are permitted, and hardly what somebody wants."""
    if idle := settings.without_effect():
        yield (
            f"{', '.join(idle)}: no effect, because what they belong to is not set; they close no gateway "
            "(docs/settings.md, Authentication)"
        )
    for name in settings.short_keys():
        yield f"{name}: shorter than {SHORTEST_KEY} characters; keys that can be guessed protect nothing"


def _open_warning(settings: Settings, flows: list[Flow]) -> str:
    shorter = "run `asya dev --auth`, or " if settings.gateway_mode is Mode.TESTING else ""
    warning = (
        f"callers are not authenticated: every client that reaches port {settings.gateway_port} may call every flow "
        f"and read every task; {shorter}set ASYA_AUTH=required or another setting of docs/settings.md, Authentication"
    )
    names = [flow.name for flow in flows if flow.scopes]
    if not names:
        return warning
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{warning}; these flows require scopes, which has no effect: {', '.join(names[:NAMED])}{more}"

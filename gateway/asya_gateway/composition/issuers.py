"""Assembles who else vouches for callers: issuers of tokens, identity services, the file of roles."""

import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.identity.profiles import Profiles
from asya_gateway.domain.identity.roles import NO_ROLES, RoleBook
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.identity.enriching import Enriching
from asya_gateway.identity.jwt.issuer_keys import IssuerKeys
from asya_gateway.identity.jwt.locating import Locate, at, of_issuer
from asya_gateway.identity.jwt.verifying import Issuer, IssuersTokens
from asya_gateway.identity.roles_file import watch_roles
from asya_gateway.identity.services.configuration import (
    CustomService,
    LocalFileService,
    OAuth2Service,
    Service,
    alias_of,
    read_config,
)
from asya_gateway.identity.services.custom import CannotLoad, load_service
from asya_gateway.identity.services.local_file import LocalFile
from asya_gateway.identity.services.remembering import Remembering
from asya_gateway.mounted.watching import InvalidFile
from asya_gateway.outbound.client import OutboundClient, operators_url
from asya_gateway.outbound.errors import TargetRefused
from asya_gateway.outbound.permitting import Origin
from asya_gateway.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoginIssuer:
    """The issuer at which persons log in, with its keys, and what the operator's setting permits."""

    service: OAuth2Service
    keys: IssuerKeys
    permission: Origin


class Watched(Protocol):
    """Something that is kept up to date."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class InvalidConfiguration(Exception):
    """A setting of issuers or services cannot be used. The message names the variable and what was expected, and for a
    file the line."""


class Issuers:
    """Those of a process that asks for credentials. Raises InvalidConfiguration.

    `verifier` judges their tokens; None if there is no issuer. `enriching` adds profiles and roles. `configured` are
    the identity services of ASYA_GATEWAY_CONFIG, `login` the one of them where persons log in, and `urls` the issuers
    in the order in which metadata names them.
    """

    def __init__(self, settings: Settings, client: OutboundClient, clock: Clock, *, cache: int = CACHE_BYTES) -> None:
        self._settings = settings
        self._client = client
        self._forgetting: list[Callable[[], None]] = []
        self._keys: list[IssuerKeys] = []
        self._files: list[LocalFile] = []
        self.configured = _configured(settings)
        self._cache = cache // max(1, len(self.configured))
        self.login: LoginIssuer | None = None
        issuers = self._issuers()
        self.urls = [each.url for each in issuers]
        self._aliases = [each.alias for each in issuers]
        roles_decide = bool(settings.roles_file)
        self.verifier = IssuersTokens(issuers, roles_decide=roles_decide, clock=clock) if issuers else None
        self._roles = (
            watch_roles(settings.roles_file, self._roles_changed, poll_interval=settings.config_poll_interval)
            if settings.roles_file
            else None
        )
        roles = None if self._roles is None else self._book
        self.enriching = Enriching(self._services(), roles, frozenset(settings.caller_claims))

    def on_change(self, forget: Callable[[], None]) -> None:
        """Call this when keys, users or roles have changed: what was judged before may be judged differently now."""
        self._forgetting.append(forget)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keeps keys and files up to date. The start waits for files, not for issuers."""
        async with contextlib.AsyncExitStack() as stack:
            watched: list[Watched] = [*self._files, *self._keys]
            for each in watched if self._roles is None else [self._roles, *watched]:
                stack.push_async_callback(each.stop)
                await each.start()
            yield

    def _roles_changed(self, book: RoleBook) -> None:
        if strange := book.strange_issuers(self._aliases):
            log.warning(
                "ASYA_ROLES_FILE: no issuer has the alias %s, so its claims give nothing; this gateway knows %s",
                ", ".join(strange),
                ", ".join(self._aliases) or "none",
            )
        self._changed()

    def _changed(self) -> None:
        for forget in self._forgetting:
            forget()

    def _book(self) -> RoleBook:
        return NO_ROLES if self._roles is None else self._roles.value or NO_ROLES

    def _issuers(self) -> list[Issuer]:
        settings = self._settings
        found = [self._issuer(each) for each in self.configured if isinstance(each, OAuth2Service)]
        if settings.a2a_jwt_jwks_url:
            permission = _permission(settings.a2a_jwt_jwks_url, "ASYA_A2A_JWT_JWKS_URL")
            alias = settings.a2a_jwt_alias or alias_of(settings.a2a_jwt_issuer)
            if any(alias == each.alias or settings.a2a_jwt_issuer == each.url for each in found):
                raise InvalidConfiguration(
                    f"ASYA_GATEWAY_CONFIG: {settings.gateway_config}: ASYA_A2A_JWT_ISSUER is named there, too, or has "
                    f"the same alias {alias!r}; expected an issuer in one place only, or another ASYA_A2A_JWT_ALIAS"
                )
            keys = self._watched(alias, at(settings.a2a_jwt_jwks_url), permission)
            found.append(Issuer(alias, settings.a2a_jwt_issuer, (settings.a2a_jwt_audience,), keys))
        return found

    def _issuer(self, service: OAuth2Service) -> Issuer:
        permission = _permission(service.jwks_uri or service.issuer, "ASYA_GATEWAY_CONFIG")
        locate = (
            at(service.jwks_uri)
            if service.jwks_uri is not None
            else of_issuer(self._client, service.issuer, permission)
        )
        keys = self._watched(service.alias, locate, permission)
        if service.login:
            at_issuer = _permission(service.issuer, "ASYA_GATEWAY_CONFIG") if service.jwks_uri else permission
            self.login = LoginIssuer(service, keys, at_issuer)
        return Issuer(service.alias, service.issuer, service.audience, keys)

    def _watched(self, alias: str, locate: Locate, permission: Origin) -> IssuerKeys:
        keys = IssuerKeys(self._client, alias, locate, permission, on_change=self._changed)
        self._keys.append(keys)
        return keys

    def _services(self) -> list[Profiles]:
        found: list[Profiles] = []
        custom = sum(isinstance(service, CustomService) for service in self.configured)
        for service in self.configured:
            if isinstance(service, LocalFileService):
                file = LocalFile(service.file_path, self._changed, poll_interval=self._settings.config_poll_interval)
                self._files.append(file)
                found.append(file)
            elif isinstance(service, CustomService):
                remembering = Remembering(_loaded(service, self._settings.gateway_config), cache=self._cache // custom)
                self.on_change(remembering.forget)
                found.append(remembering)
        return found


def _configured(settings: Settings) -> list[Service]:
    if not settings.gateway_config:
        return []
    try:
        return read_config(settings.gateway_config).identity_service
    except InvalidFile as error:
        raise InvalidConfiguration(f"ASYA_GATEWAY_CONFIG: {error}") from None


def _permission(url: str, setting: str) -> Origin:
    try:
        return operators_url(url, setting)
    except TargetRefused as error:
        raise InvalidConfiguration(f"{setting}: {error.reason}") from None


def _loaded(service: CustomService, path: str) -> Profiles:
    try:
        return load_service(service.module, service.config)
    except CannotLoad as error:
        raise InvalidConfiguration(f"ASYA_GATEWAY_CONFIG: {path}: identity_service.module: {error}") from error

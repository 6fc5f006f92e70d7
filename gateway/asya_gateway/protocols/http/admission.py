"""Lets requests in: decides for each who calls, by the route's policy and the request's credentials."""

from collections.abc import Callable, Iterable

from aiohttp import web

from asya_gateway.domain.errors import GatewayError, Unavailable
from asya_gateway.domain.identity.audit import NO_AUDIT, Audit
from asya_gateway.domain.identity.faults import AmbiguousCredentials, Denied, TooManyRequests, Unauthenticated
from asya_gateway.domain.identity.ports import Authenticator
from asya_gateway.domain.identity.principals import ANONYMOUS, OPEN, Caller, Principal
from asya_gateway.protocols.http.callers import CALLER
from asya_gateway.protocols.http.challenges import Challenges
from asya_gateway.protocols.http.credentials import API_KEY, AUTHORIZATION, credentials_of
from asya_gateway.protocols.http.errors import MeshAccessDenied
from asya_gateway.protocols.http.guard import host_name, is_loopback
from asya_gateway.protocols.http.policies import (
    POLICIES,
    Audience,
    Group,
    Policies,
    RoutePolicy,
    check_policy,
)
from asya_gateway.protocols.http.sources import network_of
from asya_gateway.telemetry.context import current_source

FORWARDED = ("forwarded", "x-real-ip", "via")
FORWARDED_PREFIX = "x-forwarded-"
"""Headers that proxies add, in lower case."""

BEARER = "Bearer "

_NONE: list[str] = []


class Admission:
    """The doors of one process. Without an authenticator they are open, and everybody is the same caller."""

    def __init__(
        self,
        authenticator: Authenticator | None = None,
        open_groups: frozenset[Group] = frozenset(),
        challenges: Challenges | None = None,
        *,
        mesh_is_local: bool = False,
        audit: Audit = NO_AUDIT,
        revoked: Callable[[Iterable[str]], bool] = lambda _: False,
        uncertain: Callable[[], bool] = lambda: False,
    ) -> None:
        self._authenticator = authenticator
        self._open_groups = open_groups
        self.challenges = challenges or Challenges()
        self._mesh_is_local = mesh_is_local
        self._audit = audit
        self.revoked = revoked
        """Whether one of a principal's `revocables` has been revoked."""
        self._uncertain = uncertain

    def admit_known(self, request: web.Request, policies: Policies) -> bool:
        """Admit a request whose caller is known at once, without waiting: anybody at an open gateway, and whoever
        presents a single credential that is remembered. If it returns False, `admit` finds out. Nearly every request
        ends here. Raises Unauthenticated, Denied."""
        authenticator = self._authenticator
        if authenticator is None:
            request[CALLER] = OPEN
            return True
        policy = policies.get(request.match_info.route)
        if policy is None or policy.audience is not Audience.CALLERS:
            return False
        principal = _recalled(authenticator, request)
        if principal is None:
            return False
        self._let_in(request, principal, policy)
        return True

    async def admit(self, request: web.Request, policies: Policies) -> None:
        """Note the request's caller (callers.caller_of). Raises Unauthenticated, Denied, AmbiguousCredentials,
        MeshAccessDenied, Unavailable."""
        if self.admit_known(request, policies):
            return
        authenticator = self._authenticator
        assert authenticator is not None, "an open gateway knows everybody"
        policy = policies.get(request.match_info.route)
        if policy is None:
            if request.match_info.http_exception is not None:
                # No such route, or none for this method. Its answer tells nothing about anybody.
                return
            raise Unauthenticated(presented=False)
        match policy.audience:
            case Audience.EVERYBODY:
                return
            case Audience.PROGRAMS:
                if self._mesh_is_local:
                    _check_local(request)
            case Audience.CALLERS:
                try:
                    principal = await self._judged(authenticator, request, policy)
                except Unauthenticated as error:
                    error.auth_url = self.challenges.auth_url
                    raise
                self._let_in(request, principal, policy)

    async def _judged(self, authenticator: Authenticator, request: web.Request, policy: RoutePolicy) -> Principal:
        credentials = credentials_of(request)
        if credentials is not None:
            return await authenticator.authenticate(credentials)
        if policy.group not in self._open_groups:
            raise Unauthenticated(presented=False)
        return ANONYMOUS

    def _let_in(self, request: web.Request, principal: Principal, policy: RoutePolicy) -> None:
        try:
            check_policy(principal, policy, request.path)
        except Unauthenticated as error:
            error.auth_url = self.challenges.auth_url
            raise
        self._audit.admitted(principal.owner, principal.via, current_source())
        request[CALLER] = principal

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever what callers may do may have changed; the returned function ends that."""
        return _nothing if self._authenticator is None else self._authenticator.watch(watcher)

    async def again(self, request: web.Request) -> Caller:
        """The caller of a held request as it would be admitted now. Raises Unauthenticated, Unavailable."""
        caller = request[CALLER]
        credentials = credentials_of(request)
        if self._authenticator is None or credentials is None:
            return caller
        return await self._authenticator.authenticate(credentials)

    def not_for_good(self, error: Exception) -> Exception:
        """The error that its caller is told. While the database is away nobody gets 401, also without a credential: a
        client would begin to log in, which cannot succeed, and then throw its registration away."""
        if isinstance(error, Unauthenticated) and self._uncertain():
            return Unavailable("credentials cannot be checked now")
        return error

    def refused(self, error: GatewayError) -> None:
        """Record an error if it refuses its caller something. Whoever turns an error into a response calls this."""
        match error:
            case Unauthenticated() | AmbiguousCredentials() | MeshAccessDenied() | TooManyRequests():
                reason = error.text
            case Denied():
                reason = f"{error.code}: {' '.join(error.required)}"
            case _:
                return
        self._audit.refused(reason, network_of(current_source()))

    def headers(self, request: web.Request, error: GatewayError) -> dict[str, str]:
        """The header that tells a refused caller what it needs; empty for other errors."""
        if not isinstance(error, Unauthenticated | Denied):
            return {}
        policy = request.app[POLICIES].get(request.match_info.route)
        if policy is None:
            return self.challenges.headers(error, Group.MCP)
        challenges = self.challenges.at(request.path) if policy.varies else self.challenges
        return challenges.headers(error, policy.group)


def _recalled(authenticator: Authenticator, request: web.Request) -> Principal | None:
    """The principal of a request's only credential, if that is remembered."""
    headers = request.headers
    presented = headers.getall(AUTHORIZATION, _NONE)
    if API_KEY in headers:
        keys = headers.getall(API_KEY)
        return authenticator.recall(f"{API_KEY} {keys[0]}") if not presented and len(keys) == 1 else None
    # A key behind another scheme is no bearer token, also while the key is remembered.
    return authenticator.recall(presented[0]) if len(presented) == 1 and presented[0].startswith(BEARER) else None


def _nothing() -> None:
    """Ends nothing: the doors of an open gateway never change."""


def _check_local(request: web.Request) -> None:
    """Let mesh routes be used from this machine only. Behind a proxy on this machine everybody has a loopback address,
    so a request that was forwarded is not local."""
    local = (
        is_loopback(request.remote or "")
        and is_loopback(host_name(request.headers.get("Host", "").lower()))
        and not any(map(_tells_of_a_proxy, request.headers))
    )
    if not local:
        raise MeshAccessDenied("mesh routes of a closed gateway in mode testing answer programs of this machine only")


def _tells_of_a_proxy(name: str) -> bool:
    name = name.lower()
    return name in FORWARDED or name.startswith(FORWARDED_PREFIX)

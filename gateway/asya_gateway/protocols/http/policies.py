"""What each route asks of its caller. A policy hangs on the registered route, never on a prefix of its path: in one
process `POST /tasks` belongs to mesh and `GET /tasks` to callers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web import AppKey

from asya_gateway.domain.beside import KeptBeside
from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.identity.faults import Denied, Unauthenticated
from asya_gateway.domain.identity.principals import Caller, Principal
from asya_gateway.domain.identity.scopes import INVOKE_SCOPE, READ_SCOPE
from asya_gateway.protocols.http.expecting import not_yet


class Group(StrEnum):
    """Routes of callers that are opened and closed together (ASYA_OPEN_SURFACES)."""

    MCP = "mcp"
    """/mcp, and what belongs to everybody: /tools/call, /tasks, /stream, /flows, /health/flows, /openapi.json."""
    A2A = "a2a"


class Need(Enum):
    """The least right that a caller needs before anything else is looked at."""

    IDENTITY = auto()
    """A good credential, or an open door."""
    READ = auto()
    """A right to read some flow, or tasks of others."""
    CALL = auto()
    """A right to read some flow. What a call of it needs, the flow tells: its own scopes may be needed, too."""
    INVOKE = auto()
    """A right to call some flow, or to change tasks of others."""


class Audience(Enum):
    """For whom a route is."""

    EVERYBODY = auto()
    """Needs no credential at any gateway: health, documents that must be public, the authorization server."""
    CALLERS = auto()
    PROGRAMS = auto()
    """Mesh routes, protected by the network."""


@dataclass(frozen=True, slots=True, eq=False)
class RoutePolicy:
    """What one route asks. Compared by identity, because it is remembered which ones a caller meets."""

    audience: Audience
    group: Group = Group.MCP
    need: Need = Need.IDENTITY
    counted: bool = False
    """Whether a request counts against its caller's rate; lists do not."""
    resource: str = ""
    """The path that a token's audience must open (RFC 8707); "" for a route that every audience opens."""
    varies: bool = False
    """Whether the resource is the path of the request itself: each of the route's paths is a resource."""
    refuse: "Refuse | None" = None
    """Writes the errors that are found before the handler runs; None for the usual form."""


Refuse = Callable[[web.Request, GatewayError, Mapping[str, str]], web.Response]
"""The response for a request, its error, and headers that the error needs."""


PUBLIC = RoutePolicy(Audience.EVERYBODY)
MESH_ONLY = RoutePolicy(Audience.PROGRAMS)
"""Routes of actors, sidecars, crew and operator."""
REST_READ = RoutePolicy(Audience.CALLERS, need=Need.READ, resource="/mcp")
"""The REST routes go with `/mcp`: a token for it opens them, too."""
REST_TASK = RoutePolicy(Audience.CALLERS, need=Need.READ, counted=True, resource="/mcp")
REST_CALL = RoutePolicy(Audience.CALLERS, need=Need.CALL, counted=True, resource="/mcp")
REST_INVOKE = RoutePolicy(Audience.CALLERS, need=Need.INVOKE, counted=True, resource="/mcp")

Policies = dict[web.AbstractRoute, RoutePolicy]
POLICIES: AppKey[Policies] = AppKey("POLICIES")


def add_route(
    app: web.Application, method: str, path: str, handler: Callable[..., object] | Handler, policy: RoutePolicy
) -> None:
    """Register a route with its policy. `GET` does not imply `HEAD`."""
    route = app.router.add_route(
        method,
        path,
        handler,  # type: ignore[arg-type] # methods of any handler class
        expect_handler=not_yet,
    )
    app[POLICIES][route] = policy


def add_get(app: web.Application, path: str, handler: Handler, policy: RoutePolicy) -> None:
    """Register GET and HEAD."""
    add_route(app, "GET", path, handler, policy)
    add_route(app, "HEAD", path, handler, policy)


def undeclared(app: web.Application) -> list[str]:
    """The routes without a policy, as "METHOD path". There must be none."""
    known = app[POLICIES]
    return [f"{route.method} {route.resource}" for route in app.router.routes() if route not in known]


def check_need(caller: Caller, need: Need, what: str) -> None:
    """Refuse a caller that could do nothing at all there. Raises Denied with the scopes that would help."""
    if need is Need.IDENTITY or not isinstance(caller, Principal):
        return
    rights = caller.rights
    others = rights.tasks.values()
    if need is Need.READ and not (rights.reads or any(others)):
        raise Denied(what, {READ_SCOPE}, rights.scopes)
    if need is Need.CALL and not rights.reads:
        raise Denied(what, {INVOKE_SCOPE}, rights.scopes)
    if need is Need.INVOKE and not (rights.invokes or any(others)):
        raise Denied(what, {INVOKE_SCOPE}, rights.scopes)


def check_policy(principal: Principal, policy: RoutePolicy, path: str) -> None:
    """Refuse a principal to whom the route is closed, whatever it asks at `path` there. What lets one in never changes
    while the principal is remembered, so that it is found out once for each route with one resource; refusals are not
    remembered. Raises Unauthenticated for a token of another resource, Denied."""
    met = _met_by(principal)
    if policy in met:
        return
    if not opens(principal.resource, path if policy.varies else policy.resource):
        raise Unauthenticated("the token was issued for another resource")
    check_need(principal, policy.need, "this route")
    if not policy.varies:
        met.add(policy)


def _none_yet(_principal: Principal) -> set[RoutePolicy]:
    return set()


_met_by = KeptBeside(_none_yet)


def opens(resource: str | None, path: str) -> bool:
    """Whether a token for the resource at path `resource` is good for a route of resource `path`: for itself and all
    below; None, the origin, opens everything."""
    if resource is None or not path:
        return True
    return path == resource or path.startswith(resource.rstrip("/") + "/")


def groups_of(names: Iterable[str]) -> frozenset[Group]:
    """The groups with these names. Raises ValueError."""
    return frozenset(map(Group, names))

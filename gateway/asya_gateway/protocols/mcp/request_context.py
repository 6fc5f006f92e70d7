"""The context of a request, the same in both eras; `revision` tells them apart."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from asya_crds.offloading import Offload
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.catalog import Catalog, Selection
from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.sealing import Sealing
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.background import BACKGROUND, Background
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.challenges import Challenges
from asya_gateway.protocols.http.held_requests import PRESENCE
from asya_gateway.protocols.http.jsonrpc import Id, Request
from asya_gateway.protocols.http.keys import (
    ADMISSION,
    BUDGET,
    CATALOG,
    FLOWS,
    LIMITER,
    OFFLOAD,
    READINESS,
    SEALING,
    SETTINGS,
    TASKS,
)
from asya_gateway.protocols.mcp.capabilities import NOTHING_DECLARED, ClientCapabilities
from asya_gateway.protocols.mcp.errors import MethodNotFound
from asya_gateway.protocols.mcp.request_meta import ProgressToken, meta_of, progress_token, trace_context
from asya_gateway.protocols.mcp.routing import Headers
from asya_gateway.protocols.mcp.selecting import selection_of
from asya_gateway.protocols.mcp.sessions.call import SessionCall
from asya_gateway.protocols.mcp.versions import Revision
from asya_gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request that has passed every check of its era, with the parts of the gateway that a method may use."""

    id: Id
    method: str
    params: dict[str, Any]
    revision: Revision
    client: ClientCapabilities
    """What the client has declared, in this request or at the initialize of its session."""
    headers: Headers
    caller: Caller
    progress_token: ProgressToken | None
    trace: Mapping[str, str]
    tasks: Tasks
    flows: FlowRegistry
    catalog: Catalog
    selection: Selection
    """The part of the catalog that the request's URL shows."""
    settings: Settings
    background: Background
    offload: Offload
    sealing: Sealing
    budget: Budget
    draining: Callable[[], bool]
    closing: Callable[[], bool]
    revoked: Callable[[], bool]
    """Whether the caller's credential was revoked while the request was held."""
    challenges: Challenges
    rights_changed: Callable[[Callable[[], None]], Callable[[], None]]
    """Calls a function whenever what callers may do may have changed; returns one that ends that."""
    caller_again: Callable[[], Awaitable[Caller]]
    """The caller as it would be admitted now. Raises Unauthenticated, Unavailable."""
    refused: Callable[[GatewayError], None]
    """Records an error that refuses the caller something."""
    count: Callable[[], None]
    """Counts the message against its caller's rate. Raises TooManyRequests."""
    session: SessionCall | None = None
    """The request's stream and server requests, if it belongs to a session."""

    def drop_arguments(self) -> None:
        """Free the arguments once the task is stored, so that a held request does not keep them in memory."""
        for name in ("arguments", "inputResponses", "requestState"):
            self.params.pop(name, None)


def session_in(context: RequestContext) -> SessionCall:
    """The session of a request whose method exists in sessions only. Raises MethodNotFound."""
    if context.session is None:
        raise MethodNotFound(context.method)
    return context.session


def context_of(
    http: web.Request,
    request: Request,
    revision: Revision,
    client: ClientCapabilities = NOTHING_DECLARED,
    *,
    session: SessionCall | None = None,
    caller: Caller | None = None,
    headers: Headers | None = None,
) -> RequestContext:
    """`caller` and `headers` are the message's, if those are not the ones of the HTTP request. Raises InvalidParams for
    a malformed `_meta`."""
    app, meta, headers = http.app, meta_of(request.params), http.headers if headers is None else headers
    readiness = app[READINESS]
    return RequestContext(
        id=request.id,
        method=request.method,
        params=request.params,
        revision=revision,
        client=client,
        headers=headers,
        caller=caller or caller_of(http),
        progress_token=progress_token(meta),
        trace=trace_context(meta, headers),
        tasks=app[TASKS],
        flows=app[FLOWS],
        catalog=app[CATALOG],
        selection=selection_of(http),
        settings=app[SETTINGS],
        background=app[BACKGROUND],
        offload=app[OFFLOAD],
        sealing=app[SEALING],
        budget=app[BUDGET],
        draining=lambda: readiness.draining,
        closing=lambda: readiness.closing,
        revoked=lambda: (presence := http.get(PRESENCE)) is not None and presence.revoked,
        challenges=app[ADMISSION].challenges.at(http.path),
        rights_changed=app[ADMISSION].watch,
        caller_again=lambda: app[ADMISSION].again(http),
        refused=app[ADMISSION].refused,
        count=lambda: app[LIMITER].count(http),
        session=session,
    )

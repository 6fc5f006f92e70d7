"""The context of a request, the same in both eras; `revision` tells them apart."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from aiohttp import web
from aiohttp.web import AppKey

from asya_crds.offloading import Offload
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.catalog import Catalog, Selection
from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.sealing import Sealing
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.admission import Admission
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
from asya_gateway.protocols.http.limiter import Limiter
from asya_gateway.protocols.http.readiness import Readiness
from asya_gateway.protocols.mcp.capabilities import NOTHING_DECLARED, ClientCapabilities
from asya_gateway.protocols.mcp.errors import MethodNotFound
from asya_gateway.protocols.mcp.request_meta import ProgressToken, meta_of, progress_token, trace_context
from asya_gateway.protocols.mcp.routing import Headers
from asya_gateway.protocols.mcp.selecting import selection_of
from asya_gateway.protocols.mcp.sessions.call import SessionCall
from asya_gateway.protocols.mcp.versions import Revision
from asya_gateway.settings import Settings


class Parts:
    """The parts of the gateway that methods use, found once for each application instead of once for each request."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    @cached_property
    def tasks(self) -> Tasks:
        """Submits, follows and ends tasks."""
        return self._app[TASKS]

    @cached_property
    def flows(self) -> FlowRegistry:
        """The flows that this pod serves."""
        return self._app[FLOWS]

    @cached_property
    def catalog(self) -> Catalog:
        """What is offered to callers."""
        return self._app[CATALOG]

    @cached_property
    def settings(self) -> Settings:
        """The process's settings."""
        return self._app[SETTINGS]

    @cached_property
    def background(self) -> Background:
        """Work that outlives requests."""
        return self._app[BACKGROUND]

    @cached_property
    def offload(self) -> Offload:
        """The other process, for documents of many values."""
        return self._app[OFFLOAD]

    @cached_property
    def budget(self) -> Budget:
        """The bytes that may be in memory."""
        return self._app[BUDGET]

    @cached_property
    def readiness(self) -> Readiness:
        """Whether the pod drains or closes."""
        return self._app[READINESS]

    @cached_property
    def admission(self) -> Admission:
        """The process's doors."""
        return self._app[ADMISSION]

    @cached_property
    def limiter(self) -> Limiter:
        """Counts messages of callers."""
        return self._app[LIMITER]

    @cached_property
    def sealing(self) -> Sealing:
        """Seals what a client brings back."""
        return self._app[SEALING]


PARTS = AppKey("PARTS", Parts)


@dataclass(slots=True, eq=False)
class RequestContext:
    """A request that has passed every check of its era, with the parts of the gateway that a method may use. Nothing
    changes it; to make a frozen one would cost each request three times as much."""

    http: web.Request
    parts: Parts
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
    selection: Selection
    """The part of the catalog that the request's URL shows."""
    session: SessionCall | None = None
    """The request's stream and server requests, if it belongs to a session."""

    @property
    def tasks(self) -> Tasks:
        """Submits, follows and ends tasks."""
        return self.parts.tasks

    @property
    def flows(self) -> FlowRegistry:
        """The flows that this pod serves."""
        return self.parts.flows

    @property
    def catalog(self) -> Catalog:
        """What is offered to callers."""
        return self.parts.catalog

    @property
    def settings(self) -> Settings:
        """The process's settings."""
        return self.parts.settings

    @property
    def background(self) -> Background:
        """Work that outlives the request."""
        return self.parts.background

    @property
    def offload(self) -> Offload:
        """The other process, for documents of many values."""
        return self.parts.offload

    @property
    def sealing(self) -> Sealing:
        """Seals what a client brings back."""
        return self.parts.sealing

    @property
    def budget(self) -> Budget:
        """The bytes that may be in memory."""
        return self.parts.budget

    @property
    def challenges(self) -> Challenges:
        """What a refused caller is told that it needs."""
        return self.parts.admission.challenges.at(self.http.path)

    def draining(self) -> bool:
        """Whether the pod drains."""
        return self.parts.readiness.draining

    def closing(self) -> bool:
        """Whether the pod ends its streams."""
        return self.parts.readiness.closing

    def revoked(self) -> bool:
        """Whether the caller's credential was revoked while the request was held."""
        presence = self.http.get(PRESENCE)
        return presence is not None and presence.revoked

    def rights_changed(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call a function whenever what callers may do may have changed; the returned one ends that."""
        return self.parts.admission.watch(watcher)

    def caller_again(self) -> Coroutine[Any, Any, Caller]:
        """The caller as it would be admitted now. Raises Unauthenticated, Unavailable."""
        return self.parts.admission.again(self.http)

    def refused(self, error: GatewayError) -> None:
        """Record an error that refuses the caller something."""
        self.parts.admission.refused(error)

    def count(self) -> None:
        """Count the message against its caller's rate. Raises TooManyRequests."""
        self.parts.limiter.count(self.http)

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
    meta, headers = meta_of(request.params), http.headers if headers is None else headers
    return RequestContext(
        http=http,
        parts=http.app[PARTS],
        id=request.id,
        method=request.method,
        params=request.params,
        revision=revision,
        client=client,
        headers=headers,
        caller=caller or caller_of(http),
        progress_token=progress_token(meta),
        trace=trace_context(meta, headers),
        selection=selection_of(http),
        session=session,
    )

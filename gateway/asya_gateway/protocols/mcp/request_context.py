"""The context of a request, the same in both eras; `revision` tells them apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from asya_crds.offloading import Offload
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.task import Caller
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.background import BACKGROUND, Background
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.jsonrpc import Id, Request
from asya_gateway.protocols.http.keys import BUDGET, FLOWS, OFFLOAD, READINESS, SETTINGS, TASKS
from asya_gateway.protocols.mcp.request_meta import ProgressToken, meta_of, progress_token, trace_context
from asya_gateway.protocols.mcp.routing import Headers
from asya_gateway.protocols.mcp.versions import Revision
from asya_gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request that has passed every check of its era, with the parts of the gateway that a method may use."""

    id: Id
    method: str
    params: dict[str, Any]
    revision: Revision
    headers: Headers
    caller: Caller
    progress_token: ProgressToken | None
    trace: Mapping[str, str]
    tasks: Tasks
    flows: FlowRegistry
    settings: Settings
    background: Background
    offload: Offload
    budget: Budget
    draining: Callable[[], bool]

    def drop_arguments(self) -> None:
        """Free the arguments once the task is stored, so that a held request does not keep them in memory."""
        self.params.pop("arguments", None)


def context_of(http: web.Request, request: Request, revision: Revision) -> RequestContext:
    """Raises InvalidParams for a malformed `_meta`."""
    app, meta = http.app, meta_of(request.params)
    readiness = app[READINESS]
    return RequestContext(
        id=request.id,
        method=request.method,
        params=request.params,
        revision=revision,
        headers=http.headers,
        caller=caller_of(http),
        progress_token=progress_token(meta),
        trace=trace_context(meta, http.headers),
        tasks=app[TASKS],
        flows=app[FLOWS],
        settings=app[SETTINGS],
        background=app[BACKGROUND],
        offload=app[OFFLOAD],
        budget=app[BUDGET],
        draining=lambda: readiness.draining,
    )

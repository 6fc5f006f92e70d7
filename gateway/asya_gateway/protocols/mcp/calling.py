"""tools/call: submits a task, turns its log into progress notifications and its end into the result."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from asya_gateway.domain.beside import KeptBeside
from asya_gateway.domain.calls import Call
from asya_gateway.domain.errors import FlowNotFound, InvalidArguments, after_a_write
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.offers import TOOLS, RunOffer
from asya_gateway.domain.sessions.ports import SessionTask
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.http.holding import ClientConnection, HeldRequest
from asya_gateway.protocols.http.outages import outlasting
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp import rendering
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.idempotency import key_of
from asya_gateway.protocols.mcp.mrtr.gathering import Gathered, with_inputs
from asya_gateway.protocols.mcp.param_headers import ParamHeader, check_param_headers, param_headers
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.session_asking import outcome
from asya_gateway.protocols.mcp.sessions.call import CallOfTask
from asya_gateway.protocols.mcp.task_channel import hears_live, wait_of
from asya_gateway.protocols.mcp.task_tools import is_task_tool
from asya_gateway.protocols.mcp.tasks import experimental, extension
from asya_gateway.protocols.mcp.tasks.asking import TaskAsks
from asya_gateway.protocols.mcp.tasks.modes import AnswerMode, answer_of
from asya_gateway.protocols.mcp.tasks.tools import call_task_tool
from asya_gateway.protocols.mcp.url_elicitation import url_required

SURFACE = "mcp"
_HELD = (AnswerMode.RESULT, AnswerMode.RESULT_OR_HANDLE)
"""Answers for which a call is held, and its client is told of its task."""


async def call_tool(context: RequestContext) -> Result | HeldRequest[Result]:
    """Ask for what the flow needs before it starts, and submit the call. It is answered with a task, or the returned
    request is held until its task ends.

    Arguments that break the schema give a result with isError. Raises InvalidParams, HeaderMismatch, MissingCapability,
    RpcError for a call that must or must not be a task, TooLarge, KeyReused, TooManyTasks, Overloaded, Unavailable;
    nothing is stored then, unless Unavailable is uncertain.
    """
    name = _tool_name(context.params)
    if is_task_tool(context, name):
        return await call_task_tool(context, name, _arguments(context.params))
    try:
        offer = context.catalog.to_use(TOOLS, name, context.caller, context.selection)
    except FlowNotFound as unknown:
        return await _repeated(context, name, unknown)
    served = offer.served
    arguments = _arguments(context.params)
    if context.revision.stateless:
        check_param_headers(param_headers_of(offer), arguments, context.headers)
    wanted, asks = answer_of(context, served.flow), await TaskAsks.of(context)
    live = wanted in _HELD and hears_live(context, served.flow)
    if asks is not None and (task_id := await asks.continued(live=live)) is not None:
        return await _answered(context, served, task_id, wanted, asks)

    # As a text, because the annotation of an inner function is evaluated with each call.
    async def start(gathered: Gathered) -> "Result | HeldRequest[Result]":
        payload, caller = gathered.payload, context.caller
        call = Call(served, payload, caller, SURFACE, headers=context.trace, key=gathered.key, live=live)
        return await _answered(context, served, await submit(context, call), wanted, asks)

    try:
        return await with_inputs(context, served, arguments, start, key=key_of(context), declined=rendering.declined)
    except InvalidArguments as error:
        return rendering.refused_arguments(error)


async def _answered(
    context: RequestContext, served: ServedFlow, task_id: str, wanted: AnswerMode, asks: TaskAsks | None
) -> Result | HeldRequest[Result]:
    """The answer of a stored call. Raises Unavailable, which is uncertain."""
    if wanted in _HELD:
        return HeldCall(context, served, task_id, polled=wanted is AnswerMode.RESULT_OR_HANDLE, asks=asks)
    try:
        with after_a_write():
            task = await context.tasks.head(task_id, context.caller)
    except asyncio.CancelledError:
        left(context, task_id)
        raise
    if wanted is AnswerMode.AUGMENTED:
        if context.session is not None:
            await context.session.made(SessionTask(task_id, context.progress_token))
        return experimental.created(context, task)
    return extension.created(context, task)


def _headers_of(offer: RunOffer) -> Sequence[ParamHeader]:
    return param_headers(offer.exposure.input_schema)


param_headers_of = KeptBeside(_headers_of)
"""Kept, because each call of a tool would walk its schema again. A changed flow is another RunOffer."""


def _tool_name(params: Mapping[str, Any]) -> str:
    name = params.get("name")
    if not isinstance(name, str):
        raise InvalidParams("name: expected the name of a tool")
    return name


async def _repeated(context: RequestContext, name: str, unknown: FlowNotFound) -> Result | HeldRequest[Result]:
    """A call of a tool that is no longer served, but was when the call was accepted: its retry with answers, or a
    repetition under its key. Raises `unknown` if it is none, KeyReused, Unavailable."""
    served, asks, key = ServedFlow.formerly(name), await TaskAsks.of(context), key_of(context)
    task_id = None if asks is None else await asks.continued(live=hears_live(context, served.flow))
    if task_id is None and key is not None:
        task_id = await context.tasks.earlier(context.caller, key, name, _arguments(context.params))
    if task_id is None:
        raise unknown
    return await _answered(context, served, task_id, answer_of(context, served.flow), asks)


def _arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    arguments = params.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise InvalidParams("arguments: expected an object")
    return arguments


def submit(context: RequestContext, call: Call) -> Coroutine[Any, Any, str]:
    """Store the call. If the client leaves meanwhile, the task is ended afterwards, because its id is not known
    before."""
    return context.tasks.submit(call, partial(left, context))


def leaving_cancels(context: RequestContext) -> bool:
    """Closing the response stream means cancellation in the stateless revision (patterns/cancellation). After a
    handshake it must not be treated as such (2025-11-25, transports). A pod that drains also closes streams, which is
    not a cancellation; nor is a revoked credential. A client with a key may come back for the same task."""
    leaves = not context.draining() and not context.revoked()
    return context.revision.stateless and leaves and key_of(context) is None


def left(context: RequestContext, task_id: str) -> None:
    """The client has left before its answer was sent."""
    if leaving_cancels(context):
        context.background.start(abandon(context, task_id))


async def abandon(context: RequestContext, task_id: str) -> None:
    """End an abandoned task. A task that has already ended is not changed. Raises Unavailable."""
    await context.tasks.abandon(task_id, context.caller, "The client closed its request")


class HeldCall:
    """A tools/call whose task is running. Implements HeldRequest. `polled`: its client gets a task of the extension if
    there is no result after the grace; another one is asked by `asks` what the task waits for."""

    survives_drain = True
    needs_stream = False

    def __init__(
        self,
        context: RequestContext,
        served: ServedFlow,
        task_id: str,
        *,
        polled: bool = False,
        asks: TaskAsks | None = None,
    ) -> None:
        self._context = context
        self._served = served
        self._task_id = task_id
        self._polled = polled
        self._asks = asks

    @classmethod
    def resumed(cls, context: RequestContext, made_of: Mapping[str, Any], task_id: str) -> "HeldCall":
        """A stored call whose stream goes on. Its flow may no longer be served."""
        return cls(context, context.flows.table.served(made_of["name"]), task_id)

    @property
    def task(self) -> CallOfTask:
        """What its stream is made of again."""
        return CallOfTask(self._task_id, {"name": self._served.flow.name, "token": self._context.progress_token})

    async def run(self, channel: ClientConnection) -> Result:
        """Follow the task to its end, a question, or the wait's limit. Raises TaskFailed, UrlElicitationRequired."""
        context, flow = self._context, self._served.flow
        wait, channel = wait_of(context, flow, self._task_id, channel, self._asks)
        longest = WaitLimit.of(flow, context.settings, context.draining)
        limit = self._grace() if self._polled else longest
        task = await outcome(context, wait, channel, limit)
        if task is not None and task.status.terminal:
            return await rendering.finished(context, task, self._served)
        if self._polled:
            return extension.created(context, await self._head(channel, longest))
        revision, public_url = context.revision, context.settings.public_url
        tools = context.settings.mcp_task_tools
        if task is None:
            return rendering.going_on(self._task_id, flow, revision, public_url, limit.spent, tools=tools)
        if self._asks is not None and (asked := await self._asks.asked(task)) is not None:
            return asked
        if (elsewhere := url_required(context, task)) is not None:
            raise elsewhere
        return rendering.waiting(task, flow, revision, public_url, tools=tools)

    def _grace(self) -> WaitLimit:
        settings = self._context.settings
        return WaitLimit.within(settings.mcp_task_grace, settings, self._context.draining)

    async def _head(self, channel: ClientConnection, limit: WaitLimit) -> TaskHead:
        """The task's row. While the database is unavailable the client waits, since without the handle it would call
        again."""
        context = self._context
        return await outlasting(lambda: context.tasks.head(self._task_id, context.caller), channel, limit)

    def abandon(self) -> None:
        """Called if the client leaves before its answer, result or handle, was sent."""
        left(self._context, self._task_id)

"""tools/call: submits a task, turns its log into progress notifications and its end into the result."""

from collections.abc import Mapping
from typing import Any

from asya_gateway.domain.calls import Call
from asya_gateway.domain.errors import FlowNotFound, InvalidArguments, InvalidInput
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import FlyEvent, TaskUpdate
from asya_gateway.protocols.http.holding import Channel
from asya_gateway.protocols.http.idempotency import IDEMPOTENCY_KEY, idempotency_key
from asya_gateway.protocols.http.task_wait import TaskWait
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp import rendering
from asya_gateway.protocols.mcp.errors import InvalidParams, shown
from asya_gateway.protocols.mcp.live_text import found_text
from asya_gateway.protocols.mcp.param_headers import check_param_headers
from asya_gateway.protocols.mcp.progress import Progress
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result

SURFACE = "mcp"


async def call_tool(context: RequestContext) -> "Result | HeldCall":
    """Submit the call; the returned request is held until the task ends.

    Arguments that break the schema give a result with isError. Raises InvalidParams, HeaderMismatch, TooLarge,
    KeyReused, TooManyTasks, Overloaded, Unavailable; nothing is stored then, unless Unavailable is uncertain.
    """
    name = _tool_name(context.params)
    try:
        served = context.flows.tool(name)
    except FlowNotFound:
        return await _repeated(context, name)
    arguments = _arguments(context.params)
    if context.revision.stateless and served.flow.mcp is not None:
        check_param_headers(served.flow.mcp.input_schema, arguments, context.headers)
    call = Call(served, arguments, context.caller, SURFACE, headers=context.trace, key=_key(context))
    try:
        task_id = await _submit(context, call)
    except InvalidArguments as error:
        return rendering.refused_arguments(error)
    return HeldCall(context, served, task_id)


def _key(context: RequestContext) -> str | None:
    try:
        return idempotency_key(context.headers)
    except InvalidInput as error:
        raise InvalidParams(error.text) from None


def _tool_name(params: Mapping[str, Any]) -> str:
    name = params.get("name")
    if not isinstance(name, str):
        raise InvalidParams("name: expected the name of a tool")
    return name


async def _repeated(context: RequestContext, name: str) -> "HeldCall":
    """A repeated call of a tool that is no longer served, but was when the call was accepted under its key. Raises
    InvalidParams, KeyReused, Unavailable."""
    key, task_id = _key(context), None
    if key is not None:
        task_id = await context.tasks.earlier(context.caller, key, name, _arguments(context.params))
    if task_id is None:
        raise InvalidParams(f"Unknown tool: {shown(name)}")
    return HeldCall(context, ServedFlow.formerly(name), task_id)


def _arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    arguments = params.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise InvalidParams("arguments: expected an object")
    return arguments


async def _submit(context: RequestContext, call: Call) -> str:
    """Store the call. If the client leaves meanwhile, the task must be ended afterwards, because its id is not known
    before."""

    async def abandoned(task_id: str) -> None:
        if _leaving_cancels(context):
            await abandon(context, task_id)

    return await context.background.completed(context.tasks.submit(call), abandoned)


def _leaving_cancels(context: RequestContext) -> bool:
    """Closing the response stream means cancellation in the stateless revision (patterns/cancellation). After a
    handshake it must not be treated as such (2025-11-25, transports). A pod that drains also closes streams, which is
    not a cancellation. A client with a key may come back for the same task."""
    return context.revision.stateless and not context.draining() and IDEMPOTENCY_KEY not in context.headers


async def abandon(context: RequestContext, task_id: str) -> None:
    """End an abandoned task. A task that has already ended is not changed. Raises Unavailable."""
    await context.tasks.abandon(task_id, context.caller, "The client closed its request")


class HeldCall:
    """A tools/call whose task is running. Implements Held."""

    survives_drain = True
    needs_stream = False

    def __init__(self, context: RequestContext, served: ServedFlow, task_id: str) -> None:
        self._context = context
        self._served = served
        self._task_id = task_id

    async def run(self, channel: Channel) -> Result:
        """Follow the task to its end, a question, or the wait's limit. Raises TaskFailed."""
        context, flow = self._context, self._served.flow
        progress = None
        if context.progress_token is not None and flow.mcp is not None and flow.mcp.progress:
            progress = Progress(context.progress_token)

        async def tell(item: TaskUpdate | FlyEvent) -> None:
            if progress is None:
                return
            if isinstance(item, FlyEvent):
                text = progress.live(await found_text(item.payload, context.offload))
            else:
                text = progress.of(item)
            if text is not None:
                await channel.notify(text)

        limit = WaitLimit.of(flow, context.settings, context.draining)
        wait = TaskWait(context.tasks, self._task_id, context.caller, live=progress is not None, tell=tell)
        task = await wait.outcome(channel, limit)
        revision, public_url = context.revision, context.settings.public_url
        if task is None:
            return rendering.going_on(self._task_id, flow, revision, public_url, limit.spent)
        if task.status.waiting:
            return rendering.waiting(task, flow, revision, public_url)
        return await rendering.finished(context, task, self._served)

    def abandon(self) -> None:
        """Called if the client leaves."""
        if _leaving_cancels(self._context):
            self._context.background.start(abandon(self._context, self._task_id))

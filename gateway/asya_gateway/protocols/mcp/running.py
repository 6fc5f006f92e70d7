"""Flows that are not tools, run for a request: submitted, followed, and their results rendered by whoever asked."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from asya_crds.large_json import has_few_values
from asya_crds.offloading import OffloadFailed
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.calls import Call
from asya_gateway.domain.errors import InvalidArguments, Overloaded
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import JsonText, Task
from asya_gateway.protocols.http.holding import ClientConnection, HeldRequest
from asya_gateway.protocols.http.jsonrpc import INTERNAL_ERROR, RpcError
from asya_gateway.protocols.http.links import Links
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp.calling import SURFACE, left, submit
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.idempotency import key_of
from asya_gateway.protocols.mcp.mrtr.gathering import Gathered, with_inputs
from asya_gateway.protocols.mcp.rendering import TaskFailed
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.session_asking import outcome
from asya_gateway.protocols.mcp.sessions.call import CallOfTask
from asya_gateway.protocols.mcp.task_channel import hears_live, wait_of
from asya_gateway.protocols.mcp.tasks.asking import TaskAsks
from asya_gateway.protocols.mcp.tool_results import violation_lines

Render = Callable[[Task], Awaitable[Result]]
"""The result for a task that has succeeded. Raises RpcError, Overloaded, OffloadFailed."""


class NotNow(RpcError):
    """The task goes on, or its result cannot be shown now: the caller is told where to look instead of calling
    again."""

    def __init__(self, text: str, task_id: str, status: str, links: Links, **more: Any) -> None:
        data = {"task_id": task_id, "status": status, "status_url": links.status, **more}
        super().__init__(INTERNAL_ERROR, text, data)


async def run_flow(
    context: RequestContext,
    served: ServedFlow,
    payload: dict[str, Any],
    render: Render,
    made_of: Mapping[str, Any] = MappingProxyType({}),
) -> Result | HeldRequest[Result]:
    """Ask for what the flow needs before it starts, then submit a call of it; the returned request is held until the
    task ends.

    Raises InvalidParams for arguments that break the inputSchema, MissingCapability, KeyReused, TooManyTasks, TooLarge,
    Overloaded, Unavailable; nothing is stored then, unless Unavailable is uncertain.
    """

    asks, live = await TaskAsks.of(context), hears_live(context, served.flow)
    if asks is not None and (task_id := await asks.continued(live=live)) is not None:
        return HeldRun(context, served, task_id, render, asks, made_of)

    async def start(gathered: Gathered) -> HeldRun:
        caller, key = context.caller, gathered.key
        call = Call(served, gathered.payload, caller, SURFACE, headers=context.trace, key=key, live=live)
        return HeldRun(context, served, await submit(context, call), render, asks, made_of)

    try:
        return await with_inputs(context, served, payload, start, key=key_of(context))
    except InvalidArguments as error:
        lines = "\n".join(["The arguments do not match the flow's input schema:", *violation_lines(error.violations)])
        raise InvalidParams(lines) from None


class HeldRun:
    """A request whose task is running. Implements HeldRequest. Its client is asked by `asks` what the task waits for;
    `made_of` is what its renderer needs to be made again."""

    survives_drain = True
    needs_stream = False

    def __init__(
        self,
        context: RequestContext,
        served: ServedFlow,
        task_id: str,
        render: Render,
        asks: TaskAsks | None = None,
        made_of: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._context = context
        self._served = served
        self._task_id = task_id
        self._render = render
        self._asks = asks
        self._made_of = made_of

    @property
    def task(self) -> CallOfTask:
        """What its stream is made of again."""
        made_of = {"name": self._served.flow.name, "token": self._context.progress_token, **self._made_of}
        return CallOfTask(self._task_id, made_of)

    async def run(self, channel: ClientConnection) -> Result:
        """Follow the task to its end, a question, or the wait's limit. Raises TaskFailed, NotNow, and what the renderer
        raises."""
        context, flow = self._context, self._served.flow
        limit = WaitLimit.of(flow, context.settings, context.draining)
        wait, channel = wait_of(context, flow, self._task_id, channel, self._asks)
        task = await outcome(context, wait, channel, limit)
        links = Links(self._task_id, context.settings.public_url)
        if task is None:
            raise _going_on(self._task_id, links, limit.spent)
        if task.status.waiting:
            if self._asks is not None and (asked := await self._asks.asked(task)) is not None:
                return asked
            raise _waiting(task, links)
        return await self._finished(task, links)

    async def _finished(self, task: Task, links: Links) -> Result:
        if task.status is not TaskStatus.SUCCEEDED:
            error = task.error or TaskError("unknown", task.message or "The task failed", ErrorClass.RUNTIME)
            if error.error_class is ErrorClass.BUSINESS:
                error = replace(error, message=error.told)
            raise TaskFailed(task, error, links)
        try:
            return await self._render(task)
        except (Overloaded, OffloadFailed):
            text = f"The task {task.id} has succeeded; its result is large and cannot be shown now. Read {links.status}"
            raise NotNow(text, task.id, task.status.value, links) from None

    def abandon(self) -> None:
        """Called if the client leaves."""
        left(self._context, self._task_id)


def _going_on(task_id: str, links: Links, seconds: float) -> NotNow:
    text = (
        f"The task {task_id} is still running after {seconds:g} seconds and goes on. Read its result at {links.status}"
    )
    return NotNow(text, task_id, TaskStatus.RUNNING.value, links)


def _waiting(task: Task, links: Links) -> NotNow:
    pause = task.pause
    prompt = f": {pause.prompt}" if pause is not None and pause.prompt else ""
    text = f"The task {task.id} waits for an answer{prompt}. Send it with POST {links.resume}, then read {links.status}"
    asked = {} if pause is None else {"pause": pause.as_dict()}
    return NotNow(text, task.id, task.status.value, links, answer_url=links.resume, **asked)


async def rendered(
    context: RequestContext, made: Callable[..., JsonText | None], text: JsonText, *more: Any
) -> JsonText | None:
    """What a pure function makes of a flow's result and `more`, in the other process if the result has many values.
    Raises OffloadFailed."""
    if has_few_values(text):
        return made(text, *more)
    found: JsonText | None = await context.offload.run(f"{made.__module__}:{made.__name__}", text, *more)
    return found

"""tools/call: a task is submitted, its log becomes progress, its end the result."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from asya_gateway.domain.errors import Conflict, FlowNotFound, InvalidArguments, TaskNotFound, Unavailable
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import FlyEvent, Snapshot, Task, TaskUpdate
from asya_gateway.domain.tasks import Call
from asya_gateway.protocols.mcp import rendering
from asya_gateway.protocols.mcp.asking import Ask
from asya_gateway.protocols.mcp.channels import Channel
from asya_gateway.protocols.mcp.errors import InvalidParams, shown
from asya_gateway.protocols.mcp.param_headers import check_param_headers
from asya_gateway.protocols.mcp.patience import Patience
from asya_gateway.protocols.mcp.progress import Progress
from asya_gateway.protocols.mcp.results import Result

log = logging.getLogger(__name__)

SURFACE = "mcp"
TICK = 1.0
"""Seconds between two looks at the clock while nothing happens."""
RETRY = 0.5
"""Seconds until the log is read again after the database was away."""


async def call_tool(ask: Ask) -> "Result | HeldCall":
    """Submit the call; what it returns holds until the task ends.

    Arguments against the schema are a result with isError. Raises InvalidParams, HeaderMismatch, TooLarge,
    Overloaded, Unavailable; nothing is stored then.
    """
    served, arguments = _tool(ask), _arguments(ask.params)
    if ask.revision.stateless and served.flow.mcp is not None:
        check_param_headers(served.flow.mcp.input_schema, arguments, ask.headers)
    call = Call(served, arguments, ask.caller, SURFACE, headers=ask.trace)
    try:
        task_id = await _submit(ask, call)
    except InvalidArguments as error:
        return rendering.refused_arguments(error)
    return HeldCall(ask, served, task_id)


def _tool(ask: Ask) -> ServedFlow:
    name = ask.params.get("name")
    if not isinstance(name, str):
        raise InvalidParams("name: expected the name of a tool")
    try:
        return ask.flows.tool(name)
    except FlowNotFound:
        raise InvalidParams(f"Unknown tool: {shown(name)}") from None


def _arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    arguments = params.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise InvalidParams("arguments: expected an object")
    return arguments


async def _submit(ask: Ask, call: Call) -> str:
    """A client that leaves while its call is being stored leaves a task behind whose id nobody knows yet."""
    submission = asyncio.create_task(ask.tasks.submit(call))
    try:
        return await asyncio.shield(submission)
    except asyncio.CancelledError:
        ask.detached.start(_after_submission(ask, submission))
        raise


async def _after_submission(ask: Ask, submission: asyncio.Task[str]) -> None:
    task_id = await submission
    if _leaving_cancels(ask):
        await cancel(ask, task_id)


def _leaving_cancels(ask: Ask) -> bool:
    """Closing the response stream cancels in the stateless revision (patterns/cancellation); after a handshake
    it must not be taken for that (2025-11-25, transports). A pod that ends closes streams too, and nobody meant
    anything by that."""
    return ask.revision.stateless and not ask.draining()


async def cancel(ask: Ask, task_id: str) -> None:
    """End a task that nobody waits for; one that ended in the meantime is left as it is. Raises Unavailable."""
    with contextlib.suppress(Conflict, TaskNotFound):
        await ask.tasks.cancel(task_id, ask.caller, "The client closed its request")


class HeldCall:
    """A tools/call whose task is running. Keeps the Held promise."""

    patient = True
    needs_stream = False

    def __init__(self, ask: Ask, served: ServedFlow, task_id: str) -> None:
        self._ask = ask
        self._served = served
        self._flow = served.flow
        self._task_id = task_id
        self._seen = 0
        self._progress: Progress | None = None
        if ask.progress_token is not None and served.flow.mcp is not None and served.flow.mcp.progress:
            self._progress = Progress(ask.progress_token)

    async def run(self, channel: Channel) -> Result:
        """Follow the task to its end, a question, or the end of patience. Raises TaskFailed."""
        settings = self._ask.settings
        patience = Patience.of(self._flow, settings, self._ask.draining)
        task = await self._outcome(channel, patience)
        revision, public_url = self._ask.revision, settings.public_url
        if task is None:
            return rendering.going_on(self._task_id, self._flow, revision, public_url, patience.spent)
        if task.status.waiting:
            return rendering.waiting(task, self._flow, revision, public_url)
        return rendering.finished(task, self._served, revision, public_url)

    def abandon(self) -> None:
        """Nobody will read the answer."""
        if _leaving_cancels(self._ask):
            self._ask.detached.start(cancel(self._ask, self._task_id))

    async def _outcome(self, channel: Channel, patience: Patience) -> Task | None:
        """The task once it has ended or asks something; None where patience ended first.

        The task is safe while the database is away, so the wait goes on rather than make the client call again.
        """
        while not patience.over:
            try:
                return await self._follow(channel, patience)
            except Unavailable as error:
                log.warning("task %s: waiting on: %s", self._task_id, error.message)
                await asyncio.sleep(RETRY)
                await channel.quiet()
        return None

    async def _follow(self, channel: Channel, patience: Patience) -> Task | None:
        tasks, caller = self._ask.tasks, self._ask.caller
        wants_live = self._progress is not None
        items = tasks.follow(self._task_id, caller, after=self._seen, keepalive=TICK, fly=wants_live)
        async with aclosing(items):
            async for item in items:
                await self._tell(item, channel)
                if _ends_the_wait(item):
                    task = await tasks.get(self._task_id, caller)
                    if task.status.terminal or task.status.waiting:
                        return task
                if patience.over:
                    return None
        return await tasks.get(self._task_id, caller)

    async def _tell(self, item: Snapshot | TaskUpdate | FlyEvent | None, channel: Channel) -> None:
        match item:
            case None:
                await channel.quiet()
            case Snapshot():
                for update in item.updates:
                    await self._tell(update, channel)
            case TaskUpdate():
                self._seen = item.seq
                await self._notify(item, channel)
            case FlyEvent():
                await self._notify(item, channel)

    async def _notify(self, item: TaskUpdate | FlyEvent, channel: Channel) -> None:
        text = None if self._progress is None else self._progress.of(item)
        if text is not None:
            await channel.notify(text)


def _ends_the_wait(item: Snapshot | TaskUpdate | FlyEvent | None) -> bool:
    match item:
        case Snapshot(task=Task(status=status)) | TaskUpdate(status=status):
            return status.terminal or status.waiting
        case _:
            return False

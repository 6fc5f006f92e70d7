"""task_get, task_answer and task_cancel: tasks as tools, for clients without MCP tasks (setting mcp_task_tools).

What a model can mend is the tool's own error, so that it reads it: an unknown task, an answer that breaks its schema, a
task that has ended.
"""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_crds.answers import AnswerAction
from asya_gateway.domain.errors import (
    Conflict,
    GatewayError,
    InvalidArguments,
    InvalidInput,
    KeyReused,
    TaskNotFound,
    TooLarge,
)
from asya_gateway.domain.task import Task, TaskHead
from asya_gateway.protocols.http.fields import checked_id
from asya_gateway.protocols.http.holding import ClientConnection, HeldRequest
from asya_gateway.protocols.http.jsonrpc import METHOD_NOT_FOUND, RpcError
from asya_gateway.protocols.http.task_wait import TaskWait
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp.idempotency import key_of
from asya_gateway.protocols.mcp.progress import beating
from asya_gateway.protocols.mcp.rendering import TaskFailed, refused_arguments
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.task_tools import SCHEMAS, TASK_ANSWER, TASK_GET
from asya_gateway.protocols.mcp.tasks.inputs import SURFACE
from asya_gateway.protocols.mcp.tasks.reading import outcome_of
from asya_gateway.protocols.mcp.tool_results import TASK_KEY, text_block
from asya_schemas.compiling import compile_schema

_CHECKS = {name: compile_schema(schema, known_good=True) for name, schema in SCHEMAS.items()}

_MODELS_MISTAKES = (TaskNotFound, Conflict, InvalidInput, TooLarge, KeyReused)
CANCELED = "Canceled by its client"


async def call_task_tool(
    context: RequestContext, name: str, arguments: Mapping[str, Any]
) -> Result | HeldRequest[Result]:
    """Raises RpcError (-32601) for a call that asks for a task of its own, Denied, Unavailable."""
    if context.revision.experimental_tasks and context.params.get("task") is not None:
        raise RpcError(METHOD_NOT_FOUND, f"Tool {name} is not called as a task: expected no params.task")
    violations = _CHECKS[name](arguments)
    if violations:
        return refused_arguments(InvalidArguments(violations))
    try:
        task_id = checked_id(arguments["task_id"], "task_id")
        if name == TASK_GET:
            return await _get(context, task_id, arguments.get("wait", 0))
        if name == TASK_ANSWER:
            return await _answer(context, task_id, arguments)
        return await _cancel(context, task_id, arguments.get("reason") or CANCELED)
    except InvalidArguments as error:
        return refused_arguments(error)
    except _MODELS_MISTAKES as error:
        return _mistake(error)


async def _get(context: RequestContext, task_id: str, wait: int) -> Result | HeldRequest[Result]:
    task = await context.tasks.get(task_id, context.caller, payload=False)
    if wait and not task.status.terminal and not task.status.waiting:
        return HeldGet(context, task_id, wait)
    return await _shown(context, task)


async def _answer(context: RequestContext, task_id: str, arguments: Mapping[str, Any]) -> Result:
    action = AnswerAction(arguments.get("action", "accept"))
    if action is AnswerAction.ACCEPT and "answer" not in arguments:
        raise InvalidInput("expected an answer", field="answer")
    task = await context.tasks.answer(
        task_id,
        context.caller,
        arguments.get("answer"),
        input_key=arguments.get("key"),
        action=action,
        key=key_of(context),
        surface=SURFACE,
    )
    return _standing(task)


async def _cancel(context: RequestContext, task_id: str, reason: str) -> Result:
    return _standing(await context.tasks.cancel(task_id, context.caller, reason, key=key_of(context)))


class HeldGet:
    """A task_get that waits. Implements HeldRequest."""

    survives_drain = True
    needs_stream = False

    def __init__(self, context: RequestContext, task_id: str, seconds: int) -> None:
        self._context = context
        self._task_id = task_id
        self._seconds = seconds

    async def run(self, channel: ClientConnection) -> Result:
        """The result if the task ends in time, else how it stands."""
        context = self._context
        channel, _ = beating(channel, context.progress_token, context.settings.mcp_progress_interval)
        limit = WaitLimit.within(self._seconds, context.settings, context.draining)
        task = await TaskWait(context.tasks, self._task_id, context.caller).outcome(channel, limit)
        if task is None:
            task = await context.tasks.get(self._task_id, context.caller, payload=False)
        return await _shown(context, task)

    def abandon(self) -> None:
        """Nothing: the task is not the request's."""


async def _shown(context: RequestContext, task: Task) -> Result:
    if not task.status.terminal:
        return _standing(task)
    try:
        return await outcome_of(context, task)
    except TaskFailed as failed:
        return _text(failed.message, {"task_id": task.id, "status": task.status.value}, is_error=True)


def _standing(task: TaskHead) -> Result:
    """How a task stands, with what it asks."""
    known: dict[str, Any] = {"task_id": task.id, "status": task.status.value, "flow": task.flow}
    if task.message is not None:
        known["message"] = task.message
    text = f"The task {task.id} is {task.status.value}" + (f": {task.message}" if task.message else "")
    if task.pause is not None and task.status.waiting:
        known["question"] = task.pause.as_dict()
        text += f"\nIt asks: {jsontext.dumps(known['question'])}"
    return _text(text, known)


def _mistake(error: GatewayError) -> Result:
    return _text(error.text, {"code": error.code}, is_error=True)


def _text(text: str, known: dict[str, Any], *, is_error: bool = False) -> Result:
    return Result({"content": [text_block(text)], "isError": is_error, "_meta": {TASK_KEY: known}})

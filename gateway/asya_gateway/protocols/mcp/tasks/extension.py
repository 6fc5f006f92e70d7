"""The tasks extension `io.modelcontextprotocol/tasks` of 2026-07-28: CreateTaskResult, tasks/get, tasks/update,
tasks/cancel. Capabilities are those of each request; nothing is remembered."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from asya_gateway.domain.errors import Conflict
from asya_gateway.domain.task import JsonText, Task, TaskHead
from asya_gateway.protocols.http.jsonrpc import RpcError
from asya_gateway.protocols.mcp.errors import InvalidParams, MissingCapability
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tasks.inputs import asked_of, take_responses
from asya_gateway.protocols.mcp.tasks.modes import NEEDED
from asya_gateway.protocols.mcp.tasks.reading import outcome_of, task_id_of, task_of
from asya_gateway.protocols.mcp.tasks.statuses import EXTENSION, McpStatus, message_of, status_of, task_members

CANCELED = "Canceled by its client"


class Detailed(NamedTuple):
    """A DetailedTask: its members, and those that are already JSON text."""

    members: dict[str, Any]
    verbatim: dict[str, JsonText | None]


def created(context: RequestContext, task: TaskHead) -> Result:
    """The CreateTaskResult of a task whose row is committed ("MUST NOT return CreateTaskResult until the task is
    durably created"). It is flat, and says nothing of result, error or questions. A task that has ended meanwhile is
    still working here, since only its bodies tell how; its client polls it in any case."""
    ended = task.status.terminal
    status = McpStatus.WORKING if ended else status_of(task, None)
    return Result({"resultType": "task", **_members(context, task, status, None if ended else message_of(task))})


async def get_task(context: RequestContext) -> Result:
    """tasks/get: the task with its result, its error or its questions. Raises MissingCapability, InvalidParams,
    TaskNotFound."""
    check_declared(context)
    members, verbatim = await detailed(context, await task_of(context))
    return Result(members, verbatim)


async def update_task(context: RequestContext) -> Result:
    """tasks/update: answers questions, any part of the open ones. A task that no longer waits is acknowledged like one
    that does. Raises MissingCapability, InvalidParams, TaskNotFound, Denied."""
    check_declared(context)
    responses = context.params.get("inputResponses")
    task_id_of(context)
    if not isinstance(responses, Mapping):
        raise InvalidParams("inputResponses: expected an object")
    await take_responses(context, await task_of(context), responses)
    return Result()


async def cancel_task(context: RequestContext) -> Result:
    """tasks/cancel: ends the task at once. One that has already ended is acknowledged and not changed. Raises
    MissingCapability, InvalidParams, TaskNotFound, Denied."""
    check_declared(context)
    with suppress(Conflict):
        await context.tasks.cancel(task_id_of(context), context.caller, CANCELED)
    return Result()


def check_declared(context: RequestContext) -> None:
    """Refuse a request without the extension before its task is looked up. Raises MissingCapability."""
    if not context.client.tasks:
        raise MissingCapability(NEEDED)


async def detailed(context: RequestContext, task: Task) -> Detailed:
    """The DetailedTask for this request's client. Raises Overloaded."""
    error = None if task.error is None else task.error.error_class
    status, message = status_of(task, error), message_of(task)
    match status:
        case McpStatus.COMPLETED:
            result = (await outcome_of(context, task)).text(context.revision)
            return Detailed(_members(context, task, status, task.message), {"result": result})
        case McpStatus.FAILED:
            return Detailed({**_members(context, task, status, message), "error": await _error_of(context, task)}, {})
        case McpStatus.INPUT_REQUIRED:
            asked = asked_of(context, task)
            if not asked.waits:
                return Detailed(_members(context, task, McpStatus.WORKING, asked.message), {})
            members = _members(context, task, status, asked.message)
            return Detailed({**members, "inputRequests": asked.requests}, {})
        case _:
            return Detailed(_members(context, task, status, message), {})


async def _error_of(context: RequestContext, task: Task) -> dict[str, Any]:
    """The JSON-RPC error with which tools/call would have ended."""
    try:
        await outcome_of(context, task)
    except RpcError as error:
        return {"code": error.code, "message": error.message, **({} if error.data is None else {"data": error.data})}
    raise AssertionError("a task that failed has an error")


def _members(context: RequestContext, task: TaskHead, status: McpStatus, message: str | None) -> dict[str, Any]:
    return task_members(task, status, message, EXTENSION, context.settings.retention_tasks, context.tasks.clock())

"""Which task a request names, and its outcome."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from asya_crds.naming import check_id
from asya_crds.offloading import OffloadFailed
from asya_gateway.domain.errors import Overloaded
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import Task
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.rendering import ended
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result


def task_id_of(context: RequestContext) -> str:
    """`params.taskId`. Raises InvalidParams."""
    try:
        return check_id(context.params.get("taskId"))
    except ValueError as error:
        raise InvalidParams(f"taskId: {error}") from None


async def task_of(context: RequestContext) -> Task:
    """The task that the request names, without its payload. Raises InvalidParams, TaskNotFound for an unknown task and
    for one that the caller may not read alike, Unavailable."""
    return await context.tasks.get(task_id_of(context), context.caller, payload=False)


def served_of(context: RequestContext, task: Task) -> ServedFlow:
    """The task's flow, as it is served now if it still is."""
    return context.flows.table.served(task.flow)


async def outcome_of(
    context: RequestContext, task: Task, more_meta: Mapping[str, Any] = MappingProxyType({})
) -> Result:
    """What tools/call would have answered for a task that has ended, with further members of `_meta`.

    Raises TaskFailed, and Overloaded if a large result cannot be checked now: the client asks again, and would take an
    answer without the result for the last.
    """
    try:
        return await ended(context, task, served_of(context, task), more_meta)
    except OffloadFailed as error:
        raise Overloaded("the result is large and cannot be checked now, ask again") from error

"""Whether a call of a tool is answered with a task: what the flow wants, against what its client can do."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from asya_crds.flow import Flow, TaskMode
from asya_gateway.protocols.http.jsonrpc import METHOD_NOT_FOUND, RpcError
from asya_gateway.protocols.mcp.capabilities import TASKS_EXTENSION
from asya_gateway.protocols.mcp.errors import InvalidParams, MissingCapability
from asya_gateway.protocols.mcp.request_context import RequestContext

NEEDED: Mapping[str, Any] = {"extensions": {TASKS_EXTENSION: {}}}
"""What a client must declare for tasks, as -32021 names it."""


class AnswerMode(Enum):
    """How a call is answered."""

    RESULT = auto()
    """The request is held until the task's end."""
    RESULT_OR_HANDLE = auto()
    """The same, but after the grace the client gets a task of the extension."""
    HANDLE = auto()
    """The client gets a task of the extension at once."""
    AUGMENTED = auto()
    """The client asked for an experimental task of 2025-11-25."""


_OF_MODE: Mapping[TaskMode, AnswerMode] = {
    "auto": AnswerMode.RESULT_OR_HANDLE,
    "never": AnswerMode.RESULT,
    "required": AnswerMode.HANDLE,
}


def mode_of(flow: Flow) -> TaskMode:
    """What the flow wants; a flow that is no longer served wants nothing special."""
    return "auto" if flow.mcp is None else flow.mcp.task


def answer_of(context: RequestContext, flow: Flow) -> AnswerMode:
    """How to answer a call of the flow. Raises MissingCapability (-32021), RpcError (-32601) and InvalidParams for one
    that this client cannot make."""
    mode, revision = mode_of(flow), context.revision
    if revision.stateless:
        return _in_extension(context, mode)
    if not revision.experimental_tasks:
        return AnswerMode.RESULT
    augmented = context.params.get("task")
    if augmented is None:
        if mode == "required":
            raise RpcError(METHOD_NOT_FOUND, f"Tool {flow.name} is called as a task only: expected params.task")
        return AnswerMode.RESULT
    _check_augmentation(augmented)
    if mode == "never":
        raise RpcError(METHOD_NOT_FOUND, f"Tool {flow.name} is not called as a task: expected no params.task")
    return AnswerMode.AUGMENTED


def _in_extension(context: RequestContext, mode: TaskMode) -> AnswerMode:
    """The server decides; `params.task` of 2025-11-25 is ignored."""
    if not context.client.tasks:
        if mode == "required":
            raise MissingCapability(NEEDED)
        return AnswerMode.RESULT
    return _OF_MODE[mode]


def _check_augmentation(value: Any) -> None:
    """`ttl` is the client's wish; how long a task is kept, the gateway's setting says ("Receivers MAY override the
    requested ttl duration")."""
    ttl = value.get("ttl") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping):
        raise InvalidParams("task: expected an object")
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float) or ttl < 0):
        raise InvalidParams("task.ttl: expected milliseconds, a number of at least 0")

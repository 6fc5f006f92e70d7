"""A task as its caller sees it: status, artifacts, history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from asya_crds.status import TaskStatus
from asya_gateway.domain.conversations import Conversation
from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.reach import reads
from asya_gateway.domain.task import JsonText, Task, TaskHead
from asya_gateway.protocols.a2a.dialects.known import Dialect
from asya_gateway.protocols.a2a.large_contents import written_messages
from asya_gateway.protocols.a2a.model import Named, TaskView, Verbatim
from asya_gateway.protocols.a2a.outputs import result_artifact, status_of
from asya_gateway.protocols.a2a.request import A2aRequest

PUSH_EXTENSION = "urn:asya:a2a:push:v1"
"""A task's metadata under this name says which of its push notifications are sent no more, and why. A configuration
itself has no member for it (its schema is closed)."""


async def found(request: A2aRequest, named: Named) -> tuple[Task, Conversation | None]:
    """The caller's task of this name, which may be the one that a client of the oldest dialect gave. Raises
    TaskNotFound, also for a task of another flow than the path or the tenant names."""
    conversation = as_seen(await request.conversations.named(request.caller.owner, named.task_id), request)
    own = named.task_id if conversation is None else conversation.task_id
    try:
        task = await request.tasks.get(own, request.caller, payload=False)
    except TaskNotFound:
        # The error names what the client named.
        raise TaskNotFound(named.task_id) from None
    if (request.skill or named.tenant or task.flow) != task.flow or not is_known(task, conversation):
        raise TaskNotFound(named.task_id)
    return task, conversation


def as_seen(conversation: Conversation | None, request: A2aRequest) -> Conversation | None:
    """The conversation as the caller knows it. Its owner's client may have given the task a name of its own, by which
    somebody else who may read the task would not find it again."""
    if conversation is None or conversation.owner == request.caller.owner:
        return conversation
    return replace(conversation, client_task_id=None)


async def check_known(request: A2aRequest, names: Sequence[str]) -> None:
    """Raises TaskNotFound for the first of these names by which the caller has no task."""
    if not names:
        return
    found = await request.conversations.referred(request.caller.owner, list(dict.fromkeys(names)))
    known = {each.name for each in found if each.shown and reads(request.caller, each.flow, each.owner)}
    for name in names:
        if name not in known:
            raise TaskNotFound(name)


def is_known(task: TaskHead, conversation: Conversation | None) -> bool:
    """Whether it is a task for its client: not one whose result was, or will be, a direct message. One that waits can
    be answered by whoever finds it."""
    return conversation is None or conversation.reply is None or task.status.waiting


async def view(
    request: A2aRequest,
    task: Task,
    conversation: Conversation | None,
    history_length: int | None,
    *,
    dialect: Dialect | None = None,
    artifacts: bool = True,
) -> TaskView:
    """The task with its artifacts and the newest messages: without a length all of them that have together no more
    bytes than the largest call, none with 0. `dialect`: the one in which it will be written, if not the request's.
    Raises Overloaded."""
    texts: Sequence[JsonText] = ()
    if history_length != 0:
        most_bytes = request.settings.max_call_bytes
        texts = await request.conversations.messages(task.id, history_length, most_bytes=most_bytes)
    history = await written_messages(texts, dialect or request.dialect, request.offload)
    disabled = conversation.disabled if conversation is not None else await request.conversations.disabled(task.id)
    return view_of(task, conversation, history, artifacts=artifacts, disabled=disabled)


def view_of(
    task: Task,
    conversation: Conversation | None,
    history: tuple[Verbatim, ...],
    *,
    artifacts: bool = True,
    disabled: Mapping[str, str] = MappingProxyType({}),
) -> TaskView:
    """The task with these messages and, unless they are not asked for, its artifacts. `disabled`: why notifications of
    its changes are sent no more, by configuration."""
    context_id = named_context(task, conversation)
    made = (result_artifact(task.result),) if artifacts and task.status is TaskStatus.SUCCEEDED else ()
    return TaskView(
        id=named_task(task, conversation),
        context_id=context_id,
        status=status_of(task, context_id),
        artifacts=made if artifacts else None,
        history=history,
        metadata={PUSH_EXTENSION: _undelivered(disabled)} if disabled else {},
    )


def _undelivered(disabled: Mapping[str, str]) -> dict[str, Any]:
    return {"disabled": [{"id": name, "reason": reason} for name, reason in sorted(disabled.items())]}


def named_context(task: TaskHead, conversation: Conversation | None) -> str:
    """The client's name of the context. A task of another protocol has no name of a client's."""
    return conversation.context_id if conversation is not None else task.context_id or task.id


def named_task(task: TaskHead, conversation: Conversation | None) -> str:
    """The id by which the client knows the task."""
    return named_by(conversation) if conversation is not None else task.id


def named_by(conversation: Conversation) -> str:
    """The id by which the client knows the task of a conversation."""
    return conversation.client_task_id or conversation.task_id

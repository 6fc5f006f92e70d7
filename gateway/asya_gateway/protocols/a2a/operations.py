"""What each operation does, and what it asks of its caller."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from asya_gateway.domain.errors import Conflict, Unavailable
from asya_gateway.protocols.a2a.card_routes import extended
from asya_gateway.protocols.a2a.dialects.known import BY_NAME, Dialect, Operation
from asya_gateway.protocols.a2a.direct import held_groups
from asya_gateway.protocols.a2a.errors import (
    EXTENDED_CARD_NOT_CONFIGURED,
    TASK_NOT_CANCELABLE,
    UNSUPPORTED_OPERATION,
    A2aError,
)
from asya_gateway.protocols.a2a.listing import page
from asya_gateway.protocols.a2a.push.operations import delete_push, get_push, list_push, set_push
from asya_gateway.protocols.a2a.reading import Members
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.sending import answered, take
from asya_gateway.protocols.a2a.streaming import Group, event_groups, new_groups
from asya_gateway.protocols.a2a.viewing import found, view
from asya_gateway.protocols.http.keys import BUDGET
from asya_gateway.protocols.http.policies import Need

Params = dict[str, Any]
"""The params of a request, which its operation may empty: a request that waits does not keep them in memory."""

Streamed = tuple[AsyncGenerator[Group], Dialect]
"""The events of a stream, and the dialect in which they are written."""

NEEDS: Mapping[Operation, Need] = {
    Operation.SEND: Need.CALL,
    Operation.STREAM: Need.CALL,
    Operation.GET: Need.READ,
    Operation.LIST: Need.READ,
    Operation.CANCEL: Need.INVOKE,
    Operation.SUBSCRIBE: Need.READ,
    Operation.SET_PUSH: Need.INVOKE,
    Operation.GET_PUSH: Need.READ,
    Operation.LIST_PUSH: Need.READ,
    Operation.DELETE_PUSH: Need.INVOKE,
    Operation.EXTENDED_CARD: Need.IDENTITY,
}
"""What each asks of its caller before it looks at anything else."""
COUNTED = frozenset(Operation) - {Operation.EXTENDED_CARD}
"""Operations that count against their caller's rate."""
HOLDING = frozenset({Operation.SEND, Operation.STREAM, Operation.SUBSCRIBE})
"""Operations that may be held, and so count against the limit of held requests."""


async def send(request: A2aRequest, params: Params) -> Any:
    """SendMessage."""
    said = request.dialect.read_send(params)
    taken = await take(request, said)
    if taken.view is not None:
        return request.dialect.send_result(taken.view)
    # A waiting request does not keep its body in memory.
    waits, length = said.wait, said.history_length
    del said
    params.clear()
    request.http.app[BUDGET].release()
    return request.dialect.send_result(await answered(request, taken, length, waits=waits))


async def get(request: A2aRequest, params: Params) -> Any:
    """GetTask."""
    named = request.dialect.read_named(params)
    task, conversation = await found(request, named)
    dialect = _of_task(request.dialect, conversation.dialect if conversation is not None else None)
    return dialect.task(await view(request, task, conversation, named.history_length, dialect=dialect))


async def list_tasks(request: A2aRequest, params: Params) -> Any:
    """ListTasks."""
    return request.dialect.list_result(await page(request, request.dialect.read_listing(params)))


async def cancel(request: A2aRequest, params: Params) -> Any:
    """CancelTask. The task has ended when it answers."""
    named = request.dialect.read_named(params)
    task, conversation = await found(request, named)
    try:
        await request.tasks.cancel(task.id, request.caller, "Canceled by the caller")
    except Conflict as ended:
        raise A2aError(TASK_NOT_CANCELABLE, ended.message, details={"taskId": named.task_id}) from None
    dialect = _of_task(request.dialect, conversation.dialect if conversation is not None else None)
    canceled = await request.tasks.get(task.id, request.caller, payload=False)
    return dialect.task(await view(request, canceled, conversation, named.history_length, dialect=dialect))


def _of_task(asked: Dialect, recorded: str | None) -> Dialect:
    """0.1 and 0.3 share names of methods, so a task answers in its own dialect there."""
    own = BY_NAME.get(recorded or "")
    return asked if asked.newest or asked.form or own is None or own.newest else own


async def extended_card(request: A2aRequest, params: Params) -> Any:
    """GetExtendedAgentCard. Raises A2aError at an open gateway."""
    tenant = Members(params).optional_id("tenant") if request.dialect.newest else ""
    document = extended(request, request.skill or tenant)
    if document is None:
        kind = UNSUPPORTED_OPERATION if request.dialect.newest else EXTENDED_CARD_NOT_CONFIGURED
        raise A2aError(kind, "There is no extended card, because callers do not sign in")
    return document


HANDLERS: Mapping[Operation, Callable[[A2aRequest, Params], Awaitable[Any]]] = {
    Operation.SEND: send,
    Operation.GET: get,
    Operation.LIST: list_tasks,
    Operation.CANCEL: cancel,
    Operation.SET_PUSH: set_push,
    Operation.GET_PUSH: get_push,
    Operation.LIST_PUSH: list_push,
    Operation.DELETE_PUSH: delete_push,
    Operation.EXTENDED_CARD: extended_card,
}


async def stream(request: A2aRequest, params: Params, after: int | None) -> Streamed:
    """SendStreamingMessage: the message is taken before this returns, so that its errors are answers."""
    said = request.dialect.read_send(params)
    _not_closing(request)
    taken = await take(request, said, streams=True)
    length = said.history_length
    if taken.view is not None:
        # Nobody has seen anything of a task that is new. What it shows is still charged as the request's body.
        return new_groups(request, taken.task_id, taken.view), request.dialect
    request.http.app[BUDGET].release()
    conversation = taken.conversation or await request.conversations.of_task(taken.task_id)
    if conversation is not None and conversation.reply is not None:
        return held_groups(request, conversation, conversation.reply, length), request.dialect
    seen = None if taken.begun else after
    groups = event_groups(request, taken.task_id, after=seen, closes_at_question=True, history_length=length)
    return groups, request.dialect


async def subscribe(request: A2aRequest, params: Params, after: int | None) -> Streamed:
    """SubscribeToTask: it stays open at a question. Raises A2aError for a task that has ended."""
    named = request.dialect.read_named(params)
    _not_closing(request)
    task, conversation = await found(request, named)
    if task.status.terminal and (after is None or after >= task.last_seq):
        raise A2aError(
            UNSUPPORTED_OPERATION, "The task has ended; GetTask returns it", details={"taskId": named.task_id}
        )
    dialect = _of_task(request.dialect, conversation.dialect if conversation is not None else None)
    return event_groups(request, task.id, after=after, closes_at_question=False, dialect=dialect), dialect


def _not_closing(request: A2aRequest) -> None:
    """A stream that begins now would end before its first event. Raises Unavailable."""
    if request.readiness.closing:
        raise Unavailable("the gateway is restarting, try again")


STREAMED: Mapping[Operation, Callable[[A2aRequest, Params, int | None], Awaitable[Streamed]]] = {
    Operation.STREAM: stream,
    Operation.SUBSCRIBE: subscribe,
}

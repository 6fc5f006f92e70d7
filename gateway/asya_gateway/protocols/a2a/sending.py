"""A message: the beginning of a task, or the answer to the question of one."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from asya_crds.large_json import has_few_values
from asya_crds.naming import HEADER_A2A_CONTEXT, HEADER_A2A_TASK
from asya_crds.status import TaskStatus
from asya_gateway.domain.calls import Call
from asya_gateway.domain.conversations import Conversation, NewConversation
from asya_gateway.domain.destinations import Destination
from asya_gateway.domain.errors import Conflict, GatewayError, InvalidArguments, Unavailable
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.ids import new_task_id
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.a2a.contexts import inner_context_id, new_context_id
from asya_gateway.protocols.a2a.dialects import v1_0
from asya_gateway.protocols.a2a.direct import reply_mode, shown
from asya_gateway.protocols.a2a.errors import (
    CONTENT_TYPE_NOT_SUPPORTED,
    UNSUPPORTED_OPERATION,
    A2aError,
    InvalidParams,
)
from asya_gateway.protocols.a2a.model import Message, Named, PartKind, PushConfig, SendRequest, State, Status, TaskView
from asya_gateway.protocols.a2a.payloads import (
    QUERY,
    answers_of,
    arguments_of,
    check_modes,
    lone_data,
    with_messages,
)
from asya_gateway.protocols.a2a.push.registering import (
    before,
    begun,
    check_target,
    destination_of,
    of_other_surface,
    register,
    restore,
)
from asya_gateway.protocols.a2a.request import SURFACE, A2aRequest
from asya_gateway.protocols.a2a.skills import chosen
from asya_gateway.protocols.a2a.viewing import check_known, found, named_by, view
from asya_gateway.protocols.http.bodies import encode
from asya_gateway.protocols.http.holding import Silent
from asya_gateway.protocols.http.task_wait import TaskWait

PUSH_URL = {
    "1.0": "configuration.taskPushNotificationConfig.url",
    "0.3": "configuration.pushNotificationConfig.url",
    "0.3 proto": "configuration.pushNotification.url",
    "0.1": "pushNotification.url",
}
"""Where a message says whom to push to, by dialect."""
MOST_REFERENCES = 32
"""Most tasks that a message may refer to, because each is looked for."""
MOST_MESSAGES = 1_000
"""Most messages of a task, which takes any number of them while it waits for an authorization."""
MOST_BODIES = 4
"""The messages of a task have together at most as many bytes as so many of the largest calls."""


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """A message was taken by this task. `conversation` is None if it was not looked at; `begun`: the task is new, and
    not one that was stored earlier under the same key. `view` is a new task as it is stored, if it is shown at once."""

    task_id: str
    conversation: Conversation | None = None
    begun: bool = False
    view: TaskView | None = None


async def take(request: A2aRequest, send: SendRequest, *, streams: bool = False) -> AcceptedMessage:
    """Begin a task, or answer one that waits; `streams`: for a stream. Raises A2aError and the domain's errors."""
    task_id = send.message.task_id
    if not task_id and send.client_task_id:
        task_id = await request.conversations.find_client_task(request.caller.owner, send.client_task_id) or ""
    if task_id:
        return await _continued(request, send, task_id, streams=streams)
    return await _begun(request, send, streams=streams)


async def answered(
    request: A2aRequest, taken: AcceptedMessage, history_length: int | None, *, waits: bool
) -> TaskView | Message:
    """The task after the message was taken, or its direct message: at once, or when it has ended or asks, or after the
    longest wait."""
    task = None
    if waits:
        task = await TaskWait(request.tasks, taken.task_id, request.caller).outcome(Silent(), request.block_limit())
    task = task or await request.tasks.get(taken.task_id, request.caller, payload=False)
    conversation = taken.conversation or await request.conversations.of_task(task.id)
    return await shown(request, conversation, await view(request, task, conversation, history_length))


async def _begun(request: A2aRequest, send: SendRequest, *, streams: bool) -> AcceptedMessage:
    served = chosen(request.flows, send, request.caller, request.skill)
    _check_types(send.message, served)
    arguments = await _arguments(request, send.message, served)
    await _check_references(request, send.message)
    task_id, context_id = new_task_id(), send.message.context_id or new_context_id()
    message = replace(send.message, task_id=task_id, context_id=context_id)
    inner = inner_context_id(request.caller, context_id)
    # What is pushed is about a task, so that its client must know it.
    reply = None if send.push is not None else reply_mode(request, served, send, streams=streams)
    document = v1_0.message(message)
    text = await encode(document, request.offload)
    begins = NewConversation(request.dialect.name, context_id, text, send.client_task_id or None, reply)
    conversation = Conversation(
        task_id, request.caller.owner, begins.dialect, context_id, begins.client_task_id, begins.reply
    )
    call = Call(
        served,
        with_messages(arguments, task_id, inner, [document], send.accepted_output_modes),
        request.caller,
        SURFACE,
        context_id=inner,
        headers={**request.trace, HEADER_A2A_TASK: task_id, HEADER_A2A_CONTEXT: inner},
        check=False,
        key=request.key,
        task_id=task_id,
        said=None if request.key is None else _identity(send.message),
        conversation=begins,
        live=streams,
    )
    if send.push is not None:
        call = call._replace(destination=await _aimed(request, conversation, call, send.push))
    accepted = await request.tasks.accept(call)
    if accepted.task_id != task_id:
        return AcceptedMessage(accepted.task_id)
    if call.destination is not None:
        begun(request, call.destination)
    if accepted.created_at is None or reply is not None or (send.wait and not streams) or not has_few_values(text):
        return AcceptedMessage(task_id, conversation, begun=True)
    view = _new_view(conversation, message, accepted.created_at, send.history_length)
    return AcceptedMessage(task_id, conversation, begun=True, view=view)


def _new_view(
    conversation: Conversation, message: Message, created_at: datetime, history_length: int | None
) -> TaskView:
    """A task as it was stored, without reading it."""
    return TaskView(
        id=named_by(conversation),
        context_id=conversation.context_id,
        status=Status(State.SUBMITTED, created_at),
        history=() if history_length == 0 else (message,),
    )


async def _aimed(request: A2aRequest, conversation: Conversation, call: Call, push: PushConfig) -> Destination:
    """Where the changes of a new task are pushed, if the URL may be reached. Raises A2aError, Unavailable."""
    if call.key is None:
        # Nothing is looked up for a call that is refused because too much waits.
        request.tasks.check_backlog(call)
    await check_target(request, push, PUSH_URL[request.dialect.key])
    return await destination_of(request, conversation, push)


def _check_types(message: Message, served: ServedFlow) -> None:
    """Raises A2aError for a part that the flow does not take."""
    exposure = served.flow.a2a
    assert exposure is not None  # the registry finds skills only
    wrong = check_modes(message.parts, exposure.input_modes)
    if wrong is not None:
        modes = ", ".join(exposure.input_modes)
        raise A2aError(
            CONTENT_TYPE_NOT_SUPPORTED,
            f"{wrong} is not supported: expected one of {modes}",
            details={"mediaType": wrong},
        )


async def _arguments(request: A2aRequest, message: Message, served: ServedFlow) -> Any:
    """The payload without our member. What a message says as data is checked against the flow's schema, and every
    message to a flow that asks for inputs before it starts, because the schema then contains the answers. A text
    beside it, which becomes `query`, is no argument unless the schema names it. Raises InvalidArguments."""
    arguments = arguments_of(message)
    exposure = served.flow.mcp
    asks = exposure is not None and bool(exposure.input)
    if asks or any(part.kind is PartKind.DATA for part in message.parts):
        violations = await request.tasks.violations(served.check, _without_query(arguments, message, served))
        if violations:
            raise InvalidArguments(violations)
    return arguments


def _without_query(arguments: Any, message: Message, served: ServedFlow) -> Any:
    exposure = served.flow.mcp
    if lone_data(message) is not None or exposure is None or QUERY in exposure.input_schema.get("properties", {}):
        return arguments
    return {name: value for name, value in arguments.items() if name != QUERY}


async def _check_references(request: A2aRequest, message: Message) -> None:
    """Tasks that a message refers to must be the caller's. Raises TaskNotFound, and InvalidParams for too many."""
    if len(message.reference_task_ids) > MOST_REFERENCES:
        raise InvalidParams("message.referenceTaskIds", f"expected at most {MOST_REFERENCES} tasks")
    await check_known(request, message.reference_task_ids)


def _identity(message: Message) -> Any:
    """What makes two messages the same under one key: parts, task and context, never the message's own id."""
    parts = [v1_0.part(part) for part in message.parts]
    return {"parts": parts, "task": message.task_id, "context": message.context_id}


async def _continued(request: A2aRequest, send: SendRequest, task_id: str, *, streams: bool) -> AcceptedMessage:
    task, conversation = await found(request, Named(task_id))
    message = send.message
    if message.context_id and conversation is not None and message.context_id != conversation.context_id:
        raise InvalidParams("message.contextId", "expected the context of the task, or none")
    identity = _identity(message)
    if request.key is not None and await request.tasks.took(task, request.caller, identity, request.key):
        return AcceptedMessage(task.id, conversation)
    if task.status.terminal:
        raise A2aError(
            UNSUPPORTED_OPERATION, "The task has ended and takes no more messages", details={"taskId": task_id}
        )
    if not task.status.waiting or task.pause is None:
        raise A2aError(
            UNSUPPORTED_OPERATION, "The task is working and takes no message now", details={"taskId": task_id}
        )
    # What is missing is an authorization, which no message of the client can give (section 7.6.4).
    answers = [] if task.status is TaskStatus.AUTH_REQUIRED else answers_of(message, task.pause)
    owner = await request.tasks.may_answer(task.id, request.caller, known=task)
    if conversation is not None and conversation.reply is not None:
        await request.conversations.reveal(task.id)
        conversation = replace(conversation, reply=None)
    pushed_to = conversation or of_other_surface(request, task)
    async with _registered(request, pushed_to, send.push):
        said = replace(message, task_id=task_id, context_id=pushed_to.context_id)
        if streams:
            await request.tasks.expect(task.id)
        await _given(request, said, task, owner, answers, identity)
    return AcceptedMessage(task.id, conversation)


@asynccontextmanager
async def _registered(request: A2aRequest, conversation: Conversation, push: PushConfig | None) -> AsyncIterator[None]:
    """Push the changes of a task from before the block on. What a refused message would register is not kept."""
    if push is None:
        yield
        return
    await check_target(request, push, PUSH_URL[request.dialect.key])
    replaced = await before(request, conversation, push)
    stored = await register(request, conversation, push)
    try:
        yield
    except (GatewayError, A2aError) as error:
        if not (isinstance(error, Unavailable) and error.uncertain):
            await restore(request, conversation.task_id, stored.id, replaced)
        raise


async def _given(
    request: A2aRequest,
    said: Message,
    task: TaskHead,
    owner: OwnerScope,
    answers: Sequence[tuple[str | None, Any]],
    identity: Any,
) -> None:
    """Store a message to a waiting task, and give the answers that it contains. `owner`: whose task it may be. Raises
    A2aError and what answering raises; the message is not kept then."""
    assert task.pause is not None
    number, given = 0, False
    stored_as = None if request.key is None else await request.tasks.message_key(identity, request.key)
    try:
        number = await request.conversations.add(
            task.id,
            await encode(v1_0.message(said), request.offload),
            most=MOST_MESSAGES,
            most_bytes=MOST_BODIES * request.settings.max_call_bytes,
            request=stored_as,
        )
        given = not answers
        for index, (key, answer) in enumerate(answers, start=1):
            last = index == len(answers)
            await request.tasks.answer(
                task.id,
                request.caller,
                answer,
                input_key=key,
                pause_id=task.pause.id,
                key=request.key if last else None,
                said=identity,
                surface=SURFACE,
                owner=owner,
            )
            given = True
    except Conflict as conflict:
        raise A2aError(UNSUPPORTED_OPERATION, conflict.message, details={"taskId": said.task_id}) from None
    except Unavailable as error:
        # It may have been given, or be given by an equal message under the same key, which has found this one stored.
        given = given or error.uncertain or stored_as is not None
        raise
    finally:
        if not given and number:
            await request.conversations.remove(task.id, number, stored_as)

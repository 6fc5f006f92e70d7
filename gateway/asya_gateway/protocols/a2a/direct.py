"""Direct messages: the result of a flow without a task, if its `a2a.reply` says so (section 3.1.1, SendMessage).

The task behind one is unknown to its client. It becomes a task for its client, and stays one, with the first answer
that shows it: when it asks, fails, or works longer than a message waits.
"""

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from asya_crds.flow import ReplyMode
from asya_gateway.domain.conversations import Conversation
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.protocols.a2a.dialects.known import V0_1
from asya_gateway.protocols.a2a.model import (
    Artifact,
    ArtifactUpdate,
    Event,
    Message,
    Role,
    SendRequest,
    State,
    StatusUpdate,
    TaskView,
)
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.streaming import Group, Numbered, events, quiet_for

_NAMESPACE = uuid.UUID("5b6a2f0e-6d5c-4a57-9d0b-4b1d2c0f7a11")
"""Of message ids, so that a repeated call gets the same message and its id does not tell the task's."""


def reply_mode(request: A2aRequest, served: ServedFlow, send: SendRequest, *, streams: bool) -> ReplyMode | None:
    """What the answer of a message may be instead of a task. None: a task. A client that does not wait gets one, and
    the oldest dialect knows nothing else."""
    exposure = served.flow.a2a
    if exposure is None or exposure.reply == "task" or request.dialect is V0_1:
        return None
    return exposure.reply if send.wait or streams else None


def message_of(view: TaskView, mode: ReplyMode) -> Message | None:
    """The direct message of a task that has succeeded; None if it is to be shown as a task."""
    if view.status.state is not State.COMPLETED or not view.artifacts:
        return None
    return _message(view.id, view.context_id, view.artifacts[0], mode)


def _message(task_id: str, context_id: str, made: Artifact, mode: ReplyMode) -> Message | None:
    if mode == "auto" and not made.as_message:
        return None
    message_id = str(uuid.uuid5(_NAMESPACE, task_id))
    return Message(message_id, Role.AGENT, made.parts, context_id, metadata=made.metadata)


async def shown(request: A2aRequest, conversation: Conversation | None, view: TaskView) -> TaskView | Message:
    """The answer of a call that has waited: a direct message, or the task."""
    if conversation is None or conversation.reply is None:
        return view
    message = message_of(view, conversation.reply)
    if message is None:
        await request.conversations.reveal(conversation.task_id)
    return message or view


async def held_events(
    request: A2aRequest, conversation: Conversation, mode: ReplyMode, history_length: int | None
) -> AsyncGenerator[Numbered]:
    """A stream that is one message, or a task and its events. Events are held back until it is clear which of them.
    Live events are chunks of a task: they make it one with `auto`, and are dropped with `message`."""
    limit = request.block_limit()
    held: list[Numbered] = []
    task_id, revealed, restarts = conversation.task_id, False, False
    told = time.monotonic()
    inner = events(
        request, task_id, after=None, closes_at_question=True, history_length=history_length, keepalive=limit.tick
    )
    async with aclosing(inner):
        async for id, event in inner:
            is_live = isinstance(event, ArtifactUpdate) and not event.last_chunk
            if event is None and not (limit.over and not revealed):
                if time.monotonic() - told >= quiet_for(request):
                    told = time.monotonic()
                    yield "", None
                continue
            if revealed:
                # The chunks before this one were dropped.
                if restarts and isinstance(event, ArtifactUpdate):
                    event, restarts = replace(event, append=False), False
                yield id, event
                continue
            if is_live and mode == "message":
                restarts = True
                continue
            if event is not None:
                held.append((id, event))
            message = _said_by(held, mode)
            if message is not None:
                yield "", message
                return
            if limit.over or is_live or _shows_a_task(event):
                await request.conversations.reveal(task_id)
                revealed = True
                for each in held:
                    yield each


async def held_groups(
    request: A2aRequest, conversation: Conversation, mode: ReplyMode, history_length: int | None
) -> AsyncGenerator[Group]:
    """The same, each event as a group."""
    inner = held_events(request, conversation, mode, history_length)
    async with aclosing(inner):
        async for id, event in inner:
            yield [] if event is None else [(id, event)]


def _said_by(held: list[Numbered], mode: ReplyMode) -> Message | None:
    """The message with which the held events end."""
    match [event for _, event in held[-2:]]:
        case [*_, TaskView() as view]:
            return message_of(view, mode)
        case [ArtifactUpdate() as made, StatusUpdate() as end] if end.status.state is State.COMPLETED:
            return _message(made.task_id, made.context_id, made.artifact, mode)
        case _:
            return None


def _shows_a_task(event: Event | None) -> bool:
    """Whether nothing but a task can say this: a question, or an end without a message."""
    if not isinstance(event, TaskView | StatusUpdate):
        return False
    return event.status.state.terminal or event.status.state.interrupted

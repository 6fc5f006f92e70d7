"""Stores configurations of push notifications as destinations of the channel `a2a`."""

import uuid
from collections.abc import Mapping
from typing import Any

from asya_gateway.domain.conversations import Conversation
from asya_gateway.domain.destinations import MOST_PER_OWNER, MOST_PER_TASK, Destination, Put
from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord
from asya_gateway.domain.identity.principals import Caller, Principal
from asya_gateway.domain.task import TaskHead
from asya_gateway.outbound.errors import NameNotReached, TargetRefused
from asya_gateway.outbound.permitting import authority_of, checked_url
from asya_gateway.protocols.a2a.errors import INVALID_PARAMS, PUSH_NOT_SUPPORTED, TOO_MANY, A2aError, InvalidParams
from asya_gateway.protocols.a2a.model import PushConfig
from asya_gateway.protocols.a2a.push.codecs import CODECS
from asya_gateway.protocols.a2a.push.parts import PUSH, PushParts
from asya_gateway.protocols.a2a.push.secrets import sealed
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.viewing import named_context
from asya_gateway.telemetry.context import current_source

CHANNEL = "a2a"
OPEN_PARTY = "everybody"
"""By whom the names of URLs are looked up at an open gateway, which knows nobody."""


def parts_of(request: A2aRequest) -> PushParts:
    """Raises A2aError if there are no push notifications here."""
    parts = request.http.app.get(PUSH)
    if parts is None:
        raise A2aError(PUSH_NOT_SUPPORTED, "Push notifications are not supported")
    return parts


async def check_target(request: A2aRequest, config: PushConfig, path: str = "url") -> None:
    """Raises A2aError for a URL that the gateway may not reach. It is checked again at each notification."""
    try:
        await parts_of(request).client.check(config.url, party=request.caller.owner or OPEN_PARTY)
    except (TargetRefused, NameNotReached) as error:
        raise InvalidParams(path, error.reason) from None


async def register(request: A2aRequest, conversation: Conversation, config: PushConfig) -> PushConfig:
    """Store a configuration whose URL was checked; returns it as it is shown. Raises A2aError, TaskNotFound."""
    parts = parts_of(request)
    destination = await destination_of(request, conversation, config)
    outcome = await parts.destinations.put(destination)
    if outcome is not Put.STORED:
        raise _refusal(outcome, conversation)
    parts.audit.note(_noted(AuditEvent.PUSH_REGISTERED, request.caller, destination))
    return shown(destination)


def begun(request: A2aRequest, destination: Destination) -> None:
    """A task is stored, and this destination with it."""
    parts = parts_of(request)
    parts.destinations.begun(destination.task_id)
    parts.audit.note(_noted(AuditEvent.PUSH_REGISTERED, request.caller, destination))


async def before(request: A2aRequest, conversation: Conversation, config: PushConfig) -> Destination | None:
    """The configuration that this one would replace."""
    name = config.id or default_id(request, conversation)
    if not name:
        return None
    return await parts_of(request).destinations.find(conversation.task_id, CHANNEL, request.caller.owner, name)


async def restore(request: A2aRequest, task_id: str, name: str, replaced: Destination | None) -> None:
    """The message with which a configuration came was refused: what was there before is there again."""
    destinations = parts_of(request).destinations
    if replaced is None:
        await destinations.remove(task_id, CHANNEL, request.caller.owner, name)
    else:
        await destinations.put(replaced)


def _refusal(outcome: Put, conversation: Conversation) -> Exception:
    if outcome is Put.TASK_FULL:
        expected = f"expected at most {MOST_PER_TASK} configurations of a task"
        return A2aError(INVALID_PARAMS, expected, fields=[("id", expected)])
    if outcome is Put.OWNER_FULL:
        return A2aError(TOO_MANY, f"You have {MOST_PER_OWNER} configurations of tasks that go on, which is the most")
    return TaskNotFound(conversation.client_task_id or conversation.task_id)


async def destination_of(request: A2aRequest, conversation: Conversation, config: PushConfig) -> Destination:
    """A configuration whose URL was checked as it is stored, with its secrets sealed. Raises A2aError, Unavailable."""
    task_id = conversation.task_id
    name = config.id or default_id(request, conversation) or str(uuid.uuid4())
    caller = request.caller
    return Destination(
        task_id=task_id,
        channel=CHANNEL,
        name=name,
        owner=caller.owner,
        url=config.url,
        host=authority_of(checked_url(config.url)),
        options=_options(request.dialect.name, conversation, config),
        sealed=await sealed(parts_of(request).sealing, config, task_id, name),
        revocables=caller.revocables if isinstance(caller, Principal) else frozenset(),
    )


def _options(dialect: str, conversation: Conversation, config: PushConfig) -> Mapping[str, Any]:
    said = {"contextId": conversation.context_id, "taskId": conversation.client_task_id, "scheme": config.scheme}
    return {"dialect": dialect, **{name: value for name, value in said.items() if value}}


def of_other_surface(request: A2aRequest, task: TaskHead) -> Conversation:
    """What A2A would call a task that another protocol began."""
    return Conversation(task.id, request.caller.owner, request.dialect.name, named_context(task, None))


def default_id(request: A2aRequest, conversation: Conversation) -> str:
    """What a configuration without an id is called, as in the SDK of 0.3; "" if it gets an id of its own."""
    if not CODECS[request.dialect.key].named_by_task:
        return ""
    return conversation.client_task_id or conversation.task_id


def shown(destination: Destination) -> PushConfig:
    """A configuration as its owner reads it."""
    return PushConfig(url=destination.url, id=destination.name, scheme=destination.options.get("scheme", ""))


def note_removed(parts: PushParts, caller: Caller, task_id: str, name: str) -> None:
    """Note in the audit that a configuration was removed."""
    parts.audit.note(AuditRecord(AuditEvent.PUSH_REMOVED, caller.owner, caller.via, current_source(), task_id, name))


def _noted(event: AuditEvent, caller: Caller, at: Destination) -> AuditRecord:
    detail = {"config": at.name, "host": at.host}
    return AuditRecord(event, caller.owner, caller.via, current_source(), at.task_id, detail=detail)

"""The operations on configurations (specification 1.0, sections 3.1.7 to 3.1.10), the same in every dialect."""

import base64
import binascii
from typing import Any

from asya_gateway.domain.conversations import Conversation
from asya_gateway.domain.destinations import MOST_PER_TASK, Destination
from asya_gateway.protocols.a2a.errors import TASK_NOT_FOUND, A2aError, InvalidParams
from asya_gateway.protocols.a2a.model import Named, NamedPush
from asya_gateway.protocols.a2a.push.codecs import CODECS, PushCodec
from asya_gateway.protocols.a2a.push.parts import PushParts
from asya_gateway.protocols.a2a.push.registering import (
    CHANNEL,
    check_target,
    default_id,
    note_removed,
    of_other_surface,
    parts_of,
    register,
    shown,
)
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.viewing import found, named_by

Params = dict[str, Any]


async def set_push(request: A2aRequest, params: Params) -> Any:
    """CreateTaskPushNotificationConfig."""
    parts_of(request)
    codec = _codec(request)
    said = codec.read_set(params)
    conversation = await _conversation(request, said.task_id, said.tenant)
    await check_target(request, said.config)
    stored = await register(request, conversation, said.config)
    return codec.config(_called(conversation), stored)


async def get_push(request: A2aRequest, params: Params) -> Any:
    """GetTaskPushNotificationConfig. Raises A2aError for one that the task does not have."""
    parts, codec = parts_of(request), _codec(request)
    said = codec.read_named(params)
    conversation = await _conversation(request, said.task_id, said.tenant)
    destination = await _find(request, parts, conversation, said)
    if destination is None:
        details = {"taskId": said.task_id, **({"id": said.id} if said.id else {})}
        raise A2aError(TASK_NOT_FOUND, "The task has no such push notification configuration", details=details)
    return codec.config(_called(conversation), shown(destination))


async def list_push(request: A2aRequest, params: Params) -> Any:
    """ListTaskPushNotificationConfigs, by id."""
    parts, codec = parts_of(request), _codec(request)
    said = codec.read_list(params)
    after = _read_token(said.page_token)
    conversation = await _conversation(request, said.task_id, said.tenant)
    size = said.page_size or MOST_PER_TASK
    rows = await parts.destinations.page(conversation.task_id, CHANNEL, request.caller.owner, after, size + 1)
    more = _token(rows[size - 1].name) if len(rows) > size else ""
    return codec.page(_called(conversation), [shown(each) for each in rows[:size]], more)


async def delete_push(request: A2aRequest, params: Params) -> Any:
    """DeleteTaskPushNotificationConfig. One that is not there is deleted already (section 3.1.10)."""
    parts, codec = parts_of(request), _codec(request)
    said = codec.read_named(params)
    conversation = await _conversation(request, said.task_id, said.tenant)
    name = said.id or default_id(request, conversation)
    await parts.destinations.remove(conversation.task_id, CHANNEL, request.caller.owner, name)
    note_removed(parts, request.caller, conversation.task_id, name)
    return codec.deleted()


def _codec(request: A2aRequest) -> PushCodec:
    return CODECS[request.dialect.key]


async def _conversation(request: A2aRequest, task_id: str, tenant: str) -> Conversation:
    """How the caller's task is called. Raises TaskNotFound."""
    task, conversation = await found(request, Named(task_id, tenant=tenant))
    return conversation or of_other_surface(request, task)


def _called(conversation: Conversation) -> str:
    return named_by(conversation)


async def _find(
    request: A2aRequest, parts: PushParts, conversation: Conversation, said: NamedPush
) -> Destination | None:
    """The named one; without a name the default one, or else the first."""
    task_id, owner = conversation.task_id, request.caller.owner
    name = said.id or default_id(request, conversation)
    destination = await parts.destinations.find(task_id, CHANNEL, owner, name)
    if destination is None and not said.id:
        destination = next(iter(await parts.destinations.page(task_id, CHANNEL, owner, "", 1)), None)
    return destination


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def _read_token(token: str) -> str:
    """The id after which a page begins. Ids are printable, and other text might not even be comparable to them in the
    database. Raises InvalidParams."""
    try:
        padded = token + "=" * (-len(token) % 4)
        name = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        if not name.isprintable():
            raise ValueError
        return name
    except (ValueError, binascii.Error):
        raise InvalidParams("pageToken", "expected a nextPageToken of an earlier answer") from None

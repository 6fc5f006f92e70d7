"""Notifications and responses of clients in sessions. They are answered with 202 whatever they say, because their
senders wait for nothing."""

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from asya_crds.large_json import FEW_VALUES, places
from asya_gateway.domain.errors import Conflict, GatewayError, TaskNotFound
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.sessions.session import Session
from asya_gateway.protocols.http.jsonrpc import INVALID_REQUEST, Id, InvalidRpcMessage, Notification, Response, read_id
from asya_gateway.protocols.http.keys import LIMITER, TASKS
from asya_gateway.protocols.mcp.errors import Unanswerable, shown
from asya_gateway.protocols.mcp.session_answers import give
from asya_gateway.protocols.mcp.session_rights import check_answer, check_cancellation
from asya_gateway.protocols.mcp.sessions.event_ids import request_hash
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS
from asya_gateway.protocols.mcp.versions import Revision

LONGEST_REASON = 500
LARGEST_RESPONSE = 4 * 1024 * 1024
"""Characters of a response that is stored. It has at most FEW_VALUES values, so that it may be decoded anywhere."""
TOO_LARGE = {"error": {"code": INVALID_REQUEST, "message": "the response was too large"}}
"""What is stored in place of a larger one."""
SERVER_REQUEST_ID = re.compile(r"[0-9a-f]{24}", re.ASCII)
"""The form of our own ids."""


async def take_notification(http: web.Request, session: Session, notification: Notification, caller: Caller) -> None:
    """Follow a cancellation of this caller, if it may cancel the call; other notifications need nothing. Raises
    Unanswerable."""
    if notification.method != "notifications/cancelled":
        return
    id = _request_id(notification.params)
    if id is None:
        return
    calls, tasks, request = http.app[SESSIONS].calls, http.app[TASKS], request_hash(id)
    try:
        http.app[LIMITER].count(http)
        await check_cancellation(tasks, calls, session.key, request, caller)
        task_id = await calls.cancel(session.key, request)
        if task_id is not None:
            await tasks.cancel(task_id, caller, _reason(notification.params))
    except (TaskNotFound, Conflict):
        # It has ended meanwhile ("The request may have completed by the time the notification arrives").
        pass
    except GatewayError as error:
        raise Unanswerable(error) from None


def _request_id(params: Mapping[str, Any]) -> Id | None:
    """The id of the canceled request; None if there is none."""
    id = params.get("requestId")
    if isinstance(id, bool) or not isinstance(id, str | int):
        return None
    try:
        return read_id({"id": id, "method": ""})
    except InvalidRpcMessage:
        return None


def _reason(params: Mapping[str, Any]) -> str:
    reason = params.get("reason")
    said = f": {shown(reason, LONGEST_REASON)}" if isinstance(reason, str) and reason else ""
    return f"The client canceled its request{said}"


async def take_response(
    http: web.Request, session: Session, response: Response, revision: Revision, caller: Caller
) -> None:
    """Store this caller's answer to a request of ours, if it may answer that, and give it to the task that waits for
    it. One that is not open, or is not ours, is dropped. Raises Unanswerable."""
    if not isinstance(response.id, str) or not SERVER_REQUEST_ID.fullmatch(response.id):
        return
    body = response.body if _is_kept(response.body) else TOO_LARGE
    parts, tasks = http.app[SESSIONS], http.app[TASKS]
    try:
        http.app[LIMITER].count(http)
        # Whoever holds the call gives the answer, too, with rights of its own.
        for asked in await parts.requests.get(session.key, [response.id]):
            await check_answer(tasks, parts.calls, asked, caller)
        request = await parts.requests.answer(session.key, response.id, body)
        if request is not None:
            await give(tasks, caller, request, revision)
    except TaskNotFound:
        # It was removed, or this caller may not see it.
        pass
    except GatewayError as error:
        raise Unanswerable(error) from None


def _is_kept(body: Mapping[str, Any]) -> bool:
    found = dict(body)
    return places(found, FEW_VALUES) <= FEW_VALUES and len(jsontext.dumps(found)) <= LARGEST_RESPONSE

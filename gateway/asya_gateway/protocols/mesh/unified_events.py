"""The unified alias of newer sidecars, /api/v1/mesh: the same operations in another form (docs/protocols/mesh.md)."""

import contextlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.status import TaskStatus
from asya_crds.task_json import MessageListJson
from asya_crds.unified_messages import SILENT_PHASES, UNIFIED_ENDS, EventMessage, IdAnswer, OneActorMessage
from asya_crds.violation import Violation
from asya_gateway.domain.budget import Share
from asya_gateway.domain.calls import Call
from asya_gateway.domain.errors import Conflict, InvalidInput, TooLarge
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.identity.principals import MESH, OPEN
from asya_gateway.domain.owners import owner_of
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.bodies import as_object, decode_body, read_bytes, read_object
from asya_gateway.protocols.http.fields import optional_object
from asya_gateway.protocols.http.keys import SETTINGS, TASKS
from asya_gateway.protocols.http.messages import read
from asya_gateway.protocols.http.paths import path_id
from asya_gateway.protocols.http.queries import bounded_integer, optional_status
from asya_gateway.protocols.http.rendering import task_fields
from asya_gateway.protocols.http.streaming import UNIFIED_EVENTS, stream_task
from asya_gateway.protocols.http.tracing import trace_headers
from asya_gateway.protocols.mesh.finals import decode_final
from asya_gateway.protocols.mesh.handlers import take_progress
from asya_gateway.protocols.mesh.hops import task_id_of
from asya_gateway.protocols.mesh.live import decode_fly
from asya_gateway.protocols.mesh.refusing import (
    Lost,
    failing_its_task,
    incomplete_final,
    is_end,
    is_pause_event,
    lost_unread,
)

MAX_OFFSET = 10_000

_ENCODED = ("data.result", "data.frames", "data.checkpoint", "data.pause_metadata")
_CUT = ("data.error", "data.error_details", "data.metadata")


async def post_event(request: web.Request) -> web.Response:
    """POST /api/v1/mesh/{id}/events: {type: "status", status, data} or {type: "fly", data}.

    204 also for an unknown id: a 404 would make these sidecars fall back to the older routes.
    """
    reported = path_id(request)
    settings = request.app[SETTINGS]
    most, head = max(settings.max_final_bytes, settings.max_fly_bytes), bytearray()
    try:
        with incomplete_final(request, reported, lambda: is_end(head)):
            data = await read_bytes(request, most, share=Share.REPORTS, head=head)
    except TooLarge:
        lost = await lost_unread(request, head, unified=True)
        if lost is not None:
            async with failing_its_task(request, reported, lost, {}):
                raise
        raise
    lost = Lost.RESULT if is_end(data) else Lost.PAUSE if is_pause_event(data) else None
    async with contextlib.nullcontext() if lost is None else failing_its_task(request, reported, lost, {}):
        with incomplete_final(request, reported, lambda: is_end(data)):
            body = as_object(await decode_body(request, data, encoded=_ENCODED, cuts=_CUT, share=Share.REPORTS))
    said = read(EventMessage, body)
    if said.type == "status":
        await _take_status(request, reported, said)
    elif len(data) > settings.max_fly_bytes:
        raise TooLarge(f"expected a body of at most {settings.max_fly_bytes} bytes")
    else:
        await request.app[TASKS].fly([decode_fly(task_id_of(reported), said.data)])
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _take_status(request: web.Request, reported: str, said: EventMessage) -> None:
    status = said.status
    if not isinstance(status, str):
        raise InvalidInput("expected a string", field="status")
    report = {**(optional_object({"data": said.data}, "data") or {}), "status": status}
    if status in SILENT_PHASES:
        return
    if status in UNIFIED_ENDS and report.get("pause_metadata") is None:
        async with failing_its_task(request, reported, Lost.RESULT, report):
            final = decode_final(reported, report, ends=UNIFIED_ENDS)
        await request.app[TASKS].finish(final)
    else:
        await take_progress(request, reported, report)


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/mesh/?actor=NAME with {payload, headers, timeout}: a task for one actor; 201 {id}."""
    said = read(OneActorMessage, await read_object(request, request.app[SETTINGS].max_call_bytes))
    call = Call(
        served=ServedFlow(_flow_of(request.query.get("actor"), said.timeout), _no_check),
        payload=said.payload,
        caller=MESH if request.app[SETTINGS].closed else OPEN,
        surface="mesh",
        headers={**trace_headers(request.headers), **(said.headers or {})},
        check=False,
    )
    task_id = await request.app[TASKS].submit(call)
    return json_response(jsontext.dumps(IdAnswer.saying(id=task_id).whole()), status=HTTPStatus.CREATED)


def _no_check(_arguments: Any) -> Sequence[Violation]:
    return ()


def _flow_of(actor: str | None, timeout: float | None) -> Flow:
    """A flow with this one actor, created for a single call."""
    if not actor:
        raise InvalidInput("expected the name of an actor", field="actor")
    try:
        return Flow(name=actor, entrypoint=actor, timeout=timeout or None)
    except ValidationError as error:
        raise InvalidInput(str(error.errors()[0]["msg"]), field="actor") from None


async def list_tasks(request: web.Request) -> web.Response:
    """GET /api/v1/mesh/?status=&limit=&offset=: {messages, total}, newest first.

    `total` counts the tasks up to this page's end, and one more if there are more; it is exact on the last page.
    """
    limit = bounded_integer(request, "limit", default=50, least=1, most=200)
    offset = bounded_integer(request, "offset", default=0, least=0, most=MAX_OFFSET)
    status = optional_status(request)
    # Without a cursor, a page that ends before it is full would look like the last one.
    query = TaskFilter(owner=owner_of(MESH), status=status, limit=limit + 1, skip=offset, whole=True)
    found = (await request.app[TASKS].page(query)).tasks
    total = offset + len(found) if found or not offset else await request.app[TASKS].count(query)
    page: MessageListJson = {"messages": [task_fields(task) for task in found[:limit]], "total": total}
    return json_response(jsontext.dumps(page))


async def events(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/mesh/{id}/events: `status` and `fly` events."""
    return await stream_task(request, task_id_of(path_id(request)), MESH, UNIFIED_EVENTS)


async def cancel(request: web.Request) -> web.Response:
    """DELETE /api/v1/mesh/{id}: 204, also if it is already canceled; 409 if it ended in another way."""
    task_id = task_id_of(path_id(request))
    tasks = request.app[TASKS]
    try:
        await tasks.cancel(task_id, MESH)
    except Conflict:
        if (await tasks.head(task_id, MESH)).status is not TaskStatus.CANCELED:
            raise
    return web.Response(status=HTTPStatus.NO_CONTENT)

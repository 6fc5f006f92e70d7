"""Reading, listing, canceling, answering and streaming tasks."""

from http import HTTPStatus

from aiohttp import web

from asya_crds import jsontext
from asya_crds.answers import AnswerAction
from asya_crds.call_messages import AnswerJson, CancelJson, RetryJson
from asya_crds.task_json import TaskPageJson
from asya_gateway.domain.calls import Call
from asya_gateway.domain.errors import InvalidInput, after_a_write
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.domain.reach import listed
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.bodies import as_object, decode_body, read_bytes, read_object
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.cursors import cursor_of, read_cursor
from asya_gateway.protocols.http.fields import Body
from asya_gateway.protocols.http.idempotency import idempotency_key
from asya_gateway.protocols.http.keys import FLOWS, SETTINGS, TASKS
from asya_gateway.protocols.http.links import Links
from asya_gateway.protocols.http.messages import read_closed
from asya_gateway.protocols.http.paths import path_id
from asya_gateway.protocols.http.queries import bounded_integer, only_parameters, optional_id, optional_status
from asya_gateway.protocols.http.rendering import task_fields, task_json
from asya_gateway.protocols.http.streaming import stream_task
from asya_gateway.protocols.http.tracing import trace_headers
from asya_gateway.protocols.rest.calls import SURFACE

LARGEST_PAGE = 200
DEFAULT_REASON = "Task canceled"


async def get_task(request: web.Request) -> web.Response:
    """GET /tasks/{id}: the task with payload and result."""
    only_parameters(request)
    caller = caller_of(request)
    task = await request.app[TASKS].get(path_id(request), caller)
    return json_response(task_json(task, caller))


async def list_tasks(request: web.Request) -> web.Response:
    """GET /tasks?status=&flow=&context_id=&parent_id=&owner=&limit=&cursor=: {tasks, next_cursor}, newest first.

    The caller's own tasks, or those of `owner` (`*` for everybody's) if its scopes reach them. A task of somebody else
    has its `owner`.

    `next_cursor` is null on the last page only. Any other page may be short or empty, because open tasks are searched
    in bounded steps.
    """
    only_parameters(request, "status", "flow", "context_id", "parent_id", "owner", "limit", "cursor")
    limit = bounded_integer(request, "limit", default=50, least=1, most=LARGEST_PAGE)
    cursor = request.query.get("cursor")
    caller = caller_of(request)
    owner, flows = listed(caller, optional_id(request, "owner"))
    query = TaskFilter(
        owner=owner,
        status=optional_status(request),
        flow=optional_id(request, "flow"),
        context_id=optional_id(request, "context_id"),
        parent_id=optional_id(request, "parent_id"),
        after=None if cursor is None else read_cursor(cursor),
        limit=limit + 1,
        flows=None if flows.every else flows.names,
    )
    found = await request.app[TASKS].page(query)
    page = found.tasks[:limit]
    last = (page[-1].created_at, page[-1].id) if len(found.tasks) > limit else found.reached
    next_cursor = None if last is None else cursor_of(*last)
    document: TaskPageJson = {"tasks": [task_fields(task, caller) for task in page], "next_cursor": next_cursor}
    return json_response(jsontext.dumps(document))


async def cancel(request: web.Request) -> web.Response:
    """POST /tasks/{id}/cancel without a body, or with {reason?}: the canceled task; 409 if it has ended."""
    only_parameters(request)
    task_id = path_id(request)
    body = await _optional_body(request, request.app[SETTINGS].max_call_bytes)
    reason = read_closed(CancelJson, body).get("reason") or DEFAULT_REASON
    key = idempotency_key(request.headers)
    tasks, caller = request.app[TASKS], caller_of(request)
    await tasks.cancel(task_id, caller, reason, key=key)
    with after_a_write():
        return json_response(task_json(await tasks.get(task_id, caller), caller))


async def resume(request: web.Request) -> web.Response:
    """POST /tasks/{id}/resume with {answer, key?, pause_id?} or {action: decline | cancel, key?, pause_id?}: the task,
    running again, or still waiting for other inputs; 409 if it does not wait."""
    only_parameters(request)
    task_id = path_id(request)
    body = await read_object(request, request.app[SETTINGS].max_call_bytes)
    said = read_closed(AnswerJson, body)
    action = said.get("action") or AnswerAction.ACCEPT
    if action is not AnswerAction.ACCEPT and said.get("answer") is not None:
        raise InvalidInput("expected an answer with the action accept only", field="answer")
    if action is AnswerAction.ACCEPT and "action" not in said and "answer" not in said:
        raise InvalidInput("expected an answer, or an action", field="answer")
    key = idempotency_key(request.headers)
    tasks, caller = request.app[TASKS], caller_of(request)
    await tasks.answer(
        task_id,
        caller,
        said.get("answer"),
        input_key=said.get("key"),
        action=action,
        pause_id=said.get("pause_id"),
        key=key,
        surface=SURFACE,
    )
    with after_a_write():
        return json_response(task_json(await tasks.get(task_id, caller), caller))


async def retry(request: web.Request) -> web.Response:
    """POST /tasks/{id}/retry without a body, or with {payload?}: 201 with a new task of the same flow, which names this
    one; 409 if this one has not ended, or is a child."""
    only_parameters(request)
    task_id = path_id(request)
    body = await _optional_body(request, request.app[SETTINGS].max_call_bytes)
    payload = read_closed(RetryJson, body).get("payload")
    app, caller, key = request.app, caller_of(request), idempotency_key(request.headers)
    task = await app[TASKS].retriable(task_id, caller)
    if payload is None:
        payload = await decode_body(request, (task.payload or "").encode())
    call = Call(
        app[FLOWS].tool(task.flow, caller), payload, caller, SURFACE, task.context_id, trace_headers(request.headers)
    )
    new_id = await app[TASKS].submit(call._replace(key=key, retry_of=task.id))
    location = {"Location": Links(new_id, app[SETTINGS].public_url).status}
    with after_a_write():
        task = await app[TASKS].get(new_id, caller)
    return json_response(task_json(task), status=HTTPStatus.CREATED, headers=location)


async def _optional_body(request: web.Request, limit: int) -> Body:
    """The body's object; an empty one if there is no body."""
    data = await read_bytes(request, limit)
    return as_object(await decode_body(request, data)) if data else {}


async def stream(request: web.Request) -> web.StreamResponse:
    """GET /stream/{id}: updates and live events until the end."""
    return await stream_task(request, path_id(request), caller_of(request))

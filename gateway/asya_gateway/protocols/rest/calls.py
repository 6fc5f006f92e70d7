"""POST /tools/call: a call of a flow, answered with a handle, or with the finished task if the caller waits."""

from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any

from aiohttp import web

from asya_crds.call_messages import CallJson
from asya_gateway.domain.calls import Call
from asya_gateway.domain.errors import FlowNotFound
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.bodies import read_object
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.holding import Silent
from asya_gateway.protocols.http.idempotency import idempotency_key
from asya_gateway.protocols.http.keys import BUDGET, FLOWS, HELD, READINESS, SETTINGS, TASKS
from asya_gateway.protocols.http.links import Links
from asya_gateway.protocols.http.messages import read_closed
from asya_gateway.protocols.http.queries import only_parameters
from asya_gateway.protocols.http.rendering import task_json
from asya_gateway.protocols.http.task_wait import TaskWait
from asya_gateway.protocols.http.tracing import trace_headers
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.rest.handles import CREATED_MESSAGE, WAITING_MESSAGE, handle_json
from asya_gateway.protocols.rest.preferences import wait_seconds

SURFACE = "rest"


async def call_tool(request: web.Request) -> web.Response:
    """200 with the handle at once. With `Prefer: wait=N`: 200 with the finished task, else 202 with the handle, also if
    this pod drains meanwhile. Repeated under the same Idempotency-Key, it answers with the same task. Raises
    StreamsExhausted before anything is stored."""
    app = request.app
    only_parameters(request)
    said = read_closed(CallJson, await read_object(request, app[SETTINGS].max_call_bytes))
    seconds = wait_seconds(request.headers, app[SETTINGS].rest_max_wait)
    if seconds is None:
        task_id = await _submitted(request, said)
        return json_response(handle_json(task_id, app[SETTINGS].public_url))
    with app[HELD].slot(request):
        task_id = await _submitted(request, said)
        # A waiting request does not keep its body in memory.
        del said
        app[BUDGET].release()
        return await _wait(request, task_id, caller_of(request), seconds)


def _submitted(request: web.Request, said: CallJson) -> Coroutine[Any, Any, str]:
    app, name, payload = request.app, said["name"], said.get("arguments") or {}
    caller, key = caller_of(request), idempotency_key(request.headers)
    try:
        served = app[FLOWS].tool(name, caller)
    except FlowNotFound as unknown:
        return _earlier(app[TASKS], caller, key, name, payload, unknown)
    return app[TASKS].submit(Call(served, payload, caller, SURFACE, None, trace_headers(request.headers), key=key))


async def _earlier(
    tasks: Tasks, caller: Caller, key: str | None, name: str, payload: Any, unknown: FlowNotFound
) -> str:
    """The task of an earlier call, if this one repeats it: the flow may have been hidden in between. Raises `unknown`
    otherwise."""
    task_id = await tasks.earlier(caller, key, name, payload)
    if task_id is None:
        raise unknown
    return task_id


async def _wait(request: web.Request, task_id: str, caller: Caller, seconds: float) -> web.Response:
    app = request.app
    headers = {"Preference-Applied": f"wait={seconds:g}"}
    message = CREATED_MESSAGE
    if seconds > 0:
        readiness = app[READINESS]
        limit = WaitLimit.within(seconds, app[SETTINGS], lambda: readiness.draining)
        task = await TaskWait(app[TASKS], task_id, caller, payload=True).outcome(Silent(), limit)
        if task is not None and task.status.terminal:
            return json_response(task_json(task), headers=headers)
        message = CREATED_MESSAGE if task is None else WAITING_MESSAGE
    public_url = app[SETTINGS].public_url
    headers["Location"] = Links(task_id, public_url).status
    return json_response(handle_json(task_id, public_url, message), status=HTTPStatus.ACCEPTED, headers=headers)

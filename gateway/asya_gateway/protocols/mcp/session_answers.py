"""Responses of clients to requests that a waiting task has made: read, and given to the task. The replica that gets a
response gives it, and so does the one that holds the call, because either may end in between; a task takes it once."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.errors import Conflict, InvalidArguments, InvalidInput, TaskNotFound, TooLarge
from asya_gateway.domain.identity.faults import Denied
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.sessions.ports import NewServerRequest, ServerRequest
from asya_gateway.domain.task import TaskHead
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.mcp.forms import InputRequest
from asya_gateway.protocols.mcp.input_responses import GivenAnswer, InvalidResponse, read_response, refused
from asya_gateway.protocols.mcp.versions import Revision

SURFACE = "mcp"
OF_TASK = "task "
"""How purposes of such requests begin."""


def request_for(task: TaskHead, key: str, request: InputRequest, meta: Mapping[str, Any]) -> NewServerRequest:
    """The request that asks one input of a waiting task. On which call's stream it is sent makes no difference."""
    assert task.pause is not None
    about = {"task": task.id, "pause": task.pause.id, "key": key}
    params = dict(request.get("params", {}))
    if meta:
        params["_meta"] = {**params.get("_meta", {}), **meta}
    return NewServerRequest(OF_TASK + jsontext.dumps(about), request["method"], params)


def input_key(request: ServerRequest) -> str:
    """The key of the input that a request of a task asks."""
    key: str = jsontext.loads(request.purpose.removeprefix(OF_TASK))["key"]
    return key


def task_asking(request: ServerRequest) -> str | None:
    """The task that asks by this request; None for what a call asks before it has one."""
    if not request.purpose.startswith(OF_TASK):
        return None
    task_id: str = jsontext.loads(request.purpose.removeprefix(OF_TASK))["task"]
    return task_id


def is_asked(task: TaskHead | None, request: ServerRequest) -> bool:
    """Whether the task still waits for an answer to its request; None for a task that is gone."""
    pause = None if task is None or not task.status.waiting else task.pause
    about = jsontext.loads(request.purpose.removeprefix(OF_TASK))
    return pause is not None and pause.id == about["pause"] and pause.asks(about["key"])


async def outdated(tasks: Tasks, caller: Caller, requests: Iterable[ServerRequest]) -> list[ServerRequest]:
    """Those of these open requests of tasks that need no answer any more. Raises Unavailable."""
    known: dict[str, TaskHead | None] = {}
    found = []
    for each in requests:
        task_id = task_asking(each)
        if task_id is None or not each.is_open:
            continue
        if task_id not in known:
            try:
                known[task_id] = await tasks.get(task_id, caller, payload=False)
            except TaskNotFound:
                known[task_id] = None
        if not is_asked(known[task_id], each):
            found.append(each)
    return found


async def give(tasks: Tasks, caller: Caller, request: ServerRequest, revision: Revision) -> None:
    """Give a response to its task. One that is no answer, or comes too late, changes nothing. Raises Unavailable."""
    if not request.purpose.startswith(OF_TASK) or request.response is None:
        return
    about = jsontext.loads(request.purpose.removeprefix(OF_TASK))
    try:
        task = await tasks.get(about["task"], caller, payload=False)
        pause = task.pause
        if pause is None or pause.id != about["pause"] or not task.status.waiting:
            return
        asked = next((each for each in pause.open if each.key == about["key"]), None)
        if asked is None:
            return
        given = _read(request, lambda value: read_response(asked, value, revision, url=pause.url))
        await tasks.answer(
            task.id,
            caller,
            given.answer,
            input_key=asked.key,
            action=given.action,
            pause_id=pause.id,
            key=request.id,
            surface=SURFACE,
        )
    except (TaskNotFound, Conflict, InvalidResponse, InvalidArguments, InvalidInput, TooLarge, Denied):
        return


def spent(request: ServerRequest) -> ServerRequest:
    """An answered request once its answer was given: of that, which may be large, only the action is kept."""
    if request.response is None:
        return request
    result = request.response.get("result")
    action = result.get("action") if isinstance(result, Mapping) else None
    return replace(request, response={"result": {"action": action if isinstance(action, str) else None}})


def _read(request: ServerRequest, read: Any) -> GivenAnswer:
    response = request.response or {}
    if "result" in response:
        found: GivenAnswer = read(response["result"])
        return found
    error = response.get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    return refused(code if isinstance(code, int) else 0)

"""A task as the answer to tools/call: its result, the actor's error, or where to find the result later."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.large_json import has_few_values
from asya_crds.offloading import OffloadFailed
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.errors import InvalidArguments, Overloaded
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import Task
from asya_gateway.protocols.http.jsonrpc import INTERNAL_ERROR, RpcError
from asya_gateway.protocols.http.links import Links
from asya_gateway.protocols.mcp.errors import LONGEST_MESSAGE, bounded
from asya_gateway.protocols.mcp.linking import is_linked, linked
from asya_gateway.protocols.mcp.mrtr.rounds import Declined
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tool_results import (
    NOTHING_STRUCTURED,
    TASK_KEY,
    Returned,
    made_elsewhere,
    text_block,
    violation_lines,
)
from asya_gateway.protocols.mcp.tools import shows_output_schema
from asya_gateway.protocols.mcp.versions import Revision


class TaskFailed(RpcError):
    """The task failed for a reason that other arguments would not fix. `data` has the task and the reason.

    The traceback stays with the task, where its owner can read it.
    """

    def __init__(self, task: Task, error: TaskError, links: Links) -> None:
        known = {key: value for key, value in error.as_dict().items() if key in ("class", "code", "actor", "attempts")}
        data = {"task_id": task.id, **known, "status_url": links.status}
        super().__init__(INTERNAL_ERROR, bounded(error.message, LONGEST_MESSAGE), data)


async def finished(context: RequestContext, task: Task, served: ServedFlow) -> Result:
    """The result of a task that has ended, or where to find it if it cannot be shown now. Raises TaskFailed."""
    try:
        return await ended(context, task, served)
    except (Overloaded, OffloadFailed):
        return not_shown(task, served.flow, context.revision, context.settings.public_url)


async def ended(
    context: RequestContext, task: Task, served: ServedFlow, more_meta: Mapping[str, Any] = MappingProxyType({})
) -> Result:
    """The result of a task that has ended, with further members of `_meta`. Raises TaskFailed, Overloaded,
    OffloadFailed."""
    if task.status is TaskStatus.SUCCEEDED:
        return await _succeeded(context, task, served, more_meta)
    message = task.message or "The task failed"
    error = task.error or TaskError("unknown", message, ErrorClass.RUNTIME)
    if error.error_class is not ErrorClass.BUSINESS:
        raise TaskFailed(task, error, Links(task.id, context.settings.public_url))
    meta = {TASK_KEY: {"task_id": task.id, "status": task.status.value}, **more_meta}
    return Result({"content": [text_block(error.told)], "isError": True, "_meta": meta})


async def _succeeded(context: RequestContext, task: Task, served: ServedFlow, more_meta: Mapping[str, Any]) -> Result:
    """The flow's result. It must match the outputSchema that the client was shown (tools, "Output Schema": "Servers
    MUST provide structured results that conform to this schema"); otherwise the answer is an error. Raises Overloaded,
    OffloadFailed.
    """
    revision, text = context.revision, "null" if task.result is None else task.result.strip()
    check = served.check_result if shows_output_schema(served.flow, revision) else None
    if check is None and is_linked(context, text):
        return linked(task.id, text).with_meta(more_meta)
    if not has_few_values(text):
        schema = served.flow.mcp.output_schema if check is not None and served.flow.mcp is not None else None
        made = f"{made_elsewhere.__module__}:{made_elsewhere.__name__}"
        whole, error = await context.offload.run(made, task.id, text, revision.value, schema, dict(more_meta))
        return Result(whole=whole, whole_error=error)
    returned = Returned(text, revision, promised=check is not None)
    if check is not None and (found := returned.structured_value()) is not None:
        violations = await context.tasks.violations(check, found[0]) if found else NOTHING_STRUCTURED
        if violations:
            return returned.broken(task.id, violations).with_meta(more_meta)
    return returned.result(task.id).with_meta(more_meta)


def refused_arguments(error: InvalidArguments) -> Result:
    """Every violation with its path, in a result from which a model can correct its call."""
    text = "\n".join(["The arguments do not match the tool's input schema:", *violation_lines(error.violations)])
    return Result({"content": [text_block(text)], "isError": True})


def declined(error: Declined) -> Result:
    """What was asked before the start was declined: no task was created."""
    return Result({"content": [text_block(str(error))], "isError": True})


def going_on(
    task_id: str, flow: Flow, revision: Revision, public_url: str, seconds: float, *, tools: bool = False
) -> Result:
    """The wait is over but the task is not: the caller is told where to look, and not to call again. `tools`: it has
    tools for tasks."""
    links = Links(task_id, public_url)
    text = (
        f"The task {task_id} is still running after {seconds:g} seconds and goes on. "
        f"Do not call the tool again; {_result_at(links, tools)}"
    )
    details = {"task_id": task_id, "status": "running", "status_url": links.status, "stream_url": links.stream}
    return _unfinished(text, details, flow, revision)


def waiting(task: Task, flow: Flow, revision: Revision, public_url: str, *, tools: bool = False) -> Result:
    """The task asks a question: the caller is told the question and where to send the answer. `tools`: it has tools for
    tasks."""
    links = Links(task.id, public_url)
    pause = task.pause
    prompt = f": {pause.prompt}" if pause is not None and pause.prompt else ""
    if task.status is TaskStatus.AUTH_REQUIRED and pause is not None and pause.url is not None:
        return _unfinished(*_authorizing(task, pause.url, prompt, _result_at(links, tools), links), flow, revision)
    members = '{"answer": …}' if pause is None or pause.plain else '{"key": …, "answer": …} for each input'
    answer = f"Answer with the tool task_answer, {members}" if tools else f"Send it with POST {links.resume}, {members}"
    text = f"The task {task.id} waits for an answer{prompt}\n{answer}; then {_result_at(links, tools)}"
    details: dict[str, Any] = {
        "task_id": task.id,
        "status": task.status.value,
        "status_url": links.status,
        "stream_url": links.stream,
        "answer_url": links.resume,
    }
    if pause is not None:
        asked = pause.as_dict()
        details["pause"] = asked
        text += "" if pause.url is None else f"\nThe person goes to {pause.url}"
        text += (
            f"\nThe answer's JSON Schema: {jsontext.dumps(pause.schema)}"
            if pause.plain
            else f"\nThe inputs: {jsontext.dumps(asked['inputs'])}"
        )
    return _unfinished(text, details, flow, revision)


def _authorizing(task: Task, url: str, prompt: str, then: str, links: Links) -> tuple[str, dict[str, Any]]:
    """A person must authorize something elsewhere: no model is invited to answer in its place."""
    text = f"The task {task.id} waits until its person has authorized it{prompt}\nThe person goes to {url}; then {then}"
    details = {
        "task_id": task.id,
        "status": task.status.value,
        "status_url": links.status,
        "stream_url": links.stream,
        "url": url,
    }
    return text, details


def _result_at(links: Links, tools: bool) -> str:
    return "get the result with the tool task_get" if tools else f"read the result at {links.status}"


def _unfinished(text: str, details: dict[str, Any], flow: Flow, revision: Revision) -> Result:
    """A result for an unfinished task. It cannot match the tool's outputSchema, and clients refuse such a result unless
    it has isError."""
    promised = shows_output_schema(flow, revision)
    fields: dict[str, Any] = {"content": [text_block(text)], "isError": promised, "_meta": {TASK_KEY: details}}
    if revision.structured and not promised:
        fields["structuredContent"] = details
    return Result(fields)


def not_shown(task: Task, flow: Flow, revision: Revision, public_url: str) -> Result:
    """The task has succeeded, but its large result cannot be checked now, because too many others wait."""
    links = Links(task.id, public_url)
    text = (
        f"The task {task.id} has succeeded; its result is large and cannot be shown now. "
        f"Do not call the tool again; read the result at {links.status}"
    )
    details = {"task_id": task.id, "status": task.status.value, "status_url": links.status}
    return _unfinished(text, details, flow, revision)

"""A task as the answer to tools/call: its result, the actor's error, or where to look for what is not there yet."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.status import ErrorClass, TaskError, TaskStatus
from asya_crds.violation import ArgumentCheck, Violation
from asya_gateway.domain.errors import InvalidArguments
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import JsonText, Task
from asya_gateway.protocols.http.jsonrpc import INTERNAL_ERROR, RpcError
from asya_gateway.protocols.http.links import Links
from asya_gateway.protocols.mcp.content import tool_result
from asya_gateway.protocols.mcp.errors import LONGEST_MESSAGE, bounded
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tools import shows_output_schema
from asya_gateway.protocols.mcp.versions import Revision

TASK_KEY = "sh.asya/task"
"""Our key in `_meta`: a reversed domain of ours, as the specification wants (basic, "_meta")."""
MOST_VIOLATIONS = 100
LONGEST_VIOLATION = 500


class TaskFailed(RpcError):
    """The task failed for a reason that no argument of the caller can mend; `data` says which task and why.

    The traceback stays with the task, where its owner can read it.
    """

    def __init__(self, task: Task, error: TaskError, links: Links) -> None:
        known = {key: value for key, value in error.as_dict().items() if key in ("class", "code", "actor", "attempts")}
        data = {"task_id": task.id, **known, "status_url": links.status}
        super().__init__(INTERNAL_ERROR, bounded(error.message, LONGEST_MESSAGE), data)


def finished(task: Task, served: ServedFlow, revision: Revision, public_url: str) -> Result:
    """The result of a task that has ended. Raises TaskFailed."""
    if task.status is TaskStatus.SUCCEEDED:
        promised = served.check_result if shows_output_schema(served.flow, revision) else None
        return succeeded(task, revision, promised)
    message = task.message or "The task failed"
    error = task.error or TaskError("unknown", message, ErrorClass.RUNTIME)
    if error.error_class is not ErrorClass.BUSINESS:
        raise TaskFailed(task, error, Links(task.id, public_url))
    return Result({"content": [text_block(business_text(error))], "isError": True, "_meta": task_meta(task)})


def business_text(error: TaskError) -> str:
    """The actor's own words, after the kind of its error where that is known: `'count'` alone says little, and
    `KeyError: 'count'` what to do."""
    kind = error.details.get("type") if isinstance(error.details, Mapping) else None
    return f"{kind.rpartition('.')[2]}: {error.message}" if isinstance(kind, str) and kind else error.message


def succeeded(task: Task, revision: Revision, promised: ArgumentCheck | None) -> Result:
    """What the flow returned: content blocks as they are, anything else as text and, where the revision can carry
    it, as structuredContent. JSON is put in as it stands, so that no integer is rounded on the way.

    `promised`: the outputSchema that the client was told; a result that breaks it is none (tools, "Output Schema":
    "Servers MUST provide structured results that conform to this schema")."""
    text: JsonText = "null" if task.result is None else task.result.strip()
    raw = tool_result(text, revision)
    meta = task_meta(task)
    if promised is not None and (violations := _broken(promised, text, raw)):
        return _broken_promise(task, text, violations)
    if raw is not None:
        own = raw.get("_meta")
        return Result({**raw, "_meta": {**(own if isinstance(own, Mapping) else {}), **meta}})
    shown_text = jsontext.loads(text) if text.startswith('"') else text
    fields: dict[str, Any] = {"content": [text_block(shown_text)], "isError": False, "_meta": meta}
    return Result(fields, structured(text, revision))


def _broken(promised: ArgumentCheck, text: JsonText, raw: Mapping[str, Any] | None) -> Sequence[Violation]:
    """How the structured result breaks the promise; one that the flow calls an error itself promises nothing."""
    if raw is not None and raw.get("isError") is True:
        return []
    value = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH) if raw is None else raw.get("structuredContent")
    if value is None:
        return [Violation("", "there is no structured result")]
    return promised(value)


def _broken_promise(task: Task, text: JsonText, violations: Sequence[Violation]) -> Result:
    """An error that says what is wrong and, since the work was done, what came of it. Not structured: clients refuse
    a structured result that breaks its schema, and with it everything beside it."""
    lines = ["The flow's result does not match the tool's output schema:", *_lines(violations), "The result:"]
    blocks = [text_block("\n".join(lines)), text_block(text)]
    return Result({"content": blocks, "isError": True, "_meta": task_meta(task)})


def structured(text: JsonText, revision: Revision) -> dict[str, JsonText | None]:
    """The member structuredContent for a value: an object everywhere, any value since 2026-07-28; revisions
    between get another value wrapped as {"result": …}. null stays out: it would read as absent."""
    if not revision.structured or text == "null":
        return {}
    if text.startswith("{") or revision.any_structured:
        return {"structuredContent": text}
    return {"structuredContent": f'{{"result":{text}}}'}


def refused_arguments(error: InvalidArguments) -> Result:
    """Every violation with its path, in a result that a model can read and mend its call by."""
    text = "\n".join(["The arguments do not match the tool's input schema:", *_lines(error.violations)])
    return Result({"content": [text_block(text)], "isError": True})


def _lines(violations: Sequence[Violation]) -> list[str]:
    lines = [_line(violation) for violation in violations[:MOST_VIOLATIONS]]
    more = len(violations) - len(lines)
    return [*lines, f"- and {more} more"] if more else lines


def _line(violation: Violation) -> str:
    return f"- {bounded(violation.path or '/', LONGEST_VIOLATION)}: {bounded(violation.message, LONGEST_VIOLATION)}"


def going_on(task_id: str, flow: Flow, revision: Revision, public_url: str, seconds: float) -> Result:
    """The wait is over and the task is not: the caller learns where to look, and not to call again."""
    links = Links(task_id, public_url)
    text = (
        f"The task {task_id} is still running after {seconds:g} seconds and goes on. "
        f"Do not call the tool again; read the result at {links.status}"
    )
    details = {"task_id": task_id, "status": "running", "status_url": links.status, "stream_url": links.stream}
    return _unfinished(text, details, flow, revision)


def waiting(task: Task, flow: Flow, revision: Revision, public_url: str) -> Result:
    """The task asks somebody something; the caller learns what, and where the answer goes."""
    links = Links(task.id, public_url)
    pause = task.pause
    prompt = f": {pause.prompt}" if pause is not None and pause.prompt else ""
    text = (
        f"The task {task.id} waits for an answer{prompt}\n"
        f'Send it with POST {links.resume} and the body {{"answer": …}}; the result is then at {links.status}'
    )
    details: dict[str, Any] = {
        "task_id": task.id,
        "status": task.status.value,
        "status_url": links.status,
        "stream_url": links.stream,
        "answer_url": links.resume,
    }
    if pause is not None:
        details["pause"] = pause.as_dict()
        text += f"\nThe answer's JSON Schema: {jsontext.dumps(pause.schema)}"
    return _unfinished(text, details, flow, revision)


def _unfinished(text: str, details: dict[str, Any], flow: Flow, revision: Revision) -> Result:
    """A tool that promises an outputSchema cannot keep it here, and clients refuse a result that breaks it unless
    it says isError."""
    promised = shows_output_schema(flow, revision)
    fields: dict[str, Any] = {"content": [text_block(text)], "isError": promised, "_meta": {TASK_KEY: details}}
    if revision.structured and not promised:
        fields["structuredContent"] = details
    return Result(fields)


def text_block(text: str) -> dict[str, Any]:
    """A TextContent block."""
    return {"type": "text", "text": text}


def task_meta(task: Task) -> dict[str, Any]:
    """What every answer says of the task behind it."""
    return {TASK_KEY: {"task_id": task.id, "status": task.status.value}}

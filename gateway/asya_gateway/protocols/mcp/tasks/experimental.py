"""The experimental tasks of 2025-11-25 (basic/utilities/tasks): task augmentation, tasks/get, tasks/result, tasks/list,
tasks/cancel. Earlier revisions have none of them, and later ones have the extension."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from asya_crds import jsontext
from asya_crds.envelope import format_time, parse_time
from asya_crds.naming import check_id
from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import Conflict, TaskNotFound, Unavailable
from asya_gateway.domain.identity.access import reaches_others
from asya_gateway.domain.identity.principals import ANONYMOUS, Caller, Principal
from asya_gateway.domain.identity.scopes import TaskVerb
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.domain.reach import EVERYBODY, listed
from asya_gateway.domain.task import Task, TaskHead
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.http.task_wait import TaskWait
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp.errors import LONGEST_MESSAGE, InvalidParams, MethodNotFound, bounded
from asya_gateway.protocols.mcp.progress import beating
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import RELATED_TASK_KEY
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.session_asking import outcome
from asya_gateway.protocols.mcp.sessions.call import RESULT_OF, CallOfTask
from asya_gateway.protocols.mcp.tasks.inputs import asked_of
from asya_gateway.protocols.mcp.tasks.reading import outcome_of, task_id_of, task_of
from asya_gateway.protocols.mcp.tasks.statuses import EXPERIMENTAL, McpStatus, message_of, status_of, task_members
from asya_gateway.protocols.mcp.versions import Revision

CANCELED = "Canceled by its client"
PAGE = 100
MOST_READ = 1024 * 1024
"""Characters of results that are read for one page of a list, and the last one's."""
LONGEST_CURSOR = 2048
UNLIMITED = 10 * 365 * 86_400.0
"""Seconds that tasks/result may wait: as long as its stream lasts."""


def task_capability(revision: Revision, caller: Caller) -> dict[str, Any]:
    """The server capability `tasks`, for initialize; empty in revisions without them."""
    if not revision.experimental_tasks:
        return {}
    lists: dict[str, Any] = {"list": {}} if is_told_apart(caller) else {}
    return {"tasks": {**lists, "cancel": {}, "requests": {"tools": {"call": {}}}}}


def is_told_apart(caller: Caller) -> bool:
    """Whether a list would show this caller no tasks of somebody else."""
    return isinstance(caller, Principal) and caller is not ANONYMOUS


def created(context: RequestContext, task: TaskHead) -> Result:
    """The nested CreateTaskResult of a task whose row is committed. Its status is `working` ("Tasks MUST begin in the
    working status when created"), also if it has gone on since."""
    return Result({"task": _members(context, task, McpStatus.WORKING, message_of(task))})


async def get_task(context: RequestContext) -> Result:
    """tasks/get. Raises MethodNotFound, InvalidParams, TaskNotFound, Overloaded."""
    _check_revision(context)
    return Result(await shown(context, await task_of(context)))


async def cancel_task(context: RequestContext) -> Result:
    """tasks/cancel: the canceled task. Raises MethodNotFound, TaskNotFound, Denied, and InvalidParams also for a task
    that has ended ("MUST reject cancellation requests for tasks already in a terminal status")."""
    _check_revision(context)
    try:
        task = await context.tasks.cancel(task_id_of(context), context.caller, CANCELED)
    except Conflict as error:
        raise InvalidParams(f"taskId: {error.message}") from None
    return Result(_members(context, task, McpStatus.CANCELLED, CANCELED))


async def list_tasks(context: RequestContext) -> Result:
    """tasks/list: the caller's tasks, newest first; everybody's for a caller that may read all of them. Served only to
    callers that are told apart. Raises MethodNotFound, InvalidParams."""
    _check_revision(context)
    if not is_told_apart(context.caller):
        raise MethodNotFound(context.method)
    everybody = reaches_others(context.caller, TaskVerb.READ).every
    owner, flows = listed(context.caller, EVERYBODY if everybody else None)
    query = TaskFilter(
        owner=owner,
        after=read_cursor(context.params),
        limit=PAGE + 1,
        flows=None if flows.every else flows.names,
    )
    found = await context.tasks.page(query)
    page = found.tasks[:PAGE]
    items, read = await _listed(context, page)
    last: tuple[datetime, str] | None = found.reached
    if len(found.tasks) > PAGE or read < len(page):
        last = (page[read - 1].created_at, page[read - 1].id)
    more = {} if last is None else {"nextCursor": cursor_of(*last)}
    return Result({"tasks": items, **more})


async def task_result(context: RequestContext) -> "HeldResult":
    """tasks/result: held until the task has ended. Raises MethodNotFound, InvalidParams, TaskNotFound."""
    _check_revision(context)
    task = await context.tasks.head(task_id_of(context), context.caller)
    return HeldResult(context, task.id)


class HeldResult:
    """A tasks/result. Implements Held and OfTask. A task that asks a question goes on waiting here: whoever answers it,
    at any surface, ends the wait."""

    survives_drain = True
    needs_stream = False

    def __init__(self, context: RequestContext, task_id: str) -> None:
        self._context = context
        self._task_id = task_id

    @classmethod
    def resumed(cls, context: RequestContext, _: Mapping[str, Any], task_id: str) -> "HeldResult":
        """A stored request whose stream goes on."""
        return cls(context, task_id)

    @property
    def task(self) -> CallOfTask:
        """What its stream is made of again. It is not the task's own request: its end leaves the task alone."""
        return CallOfTask(None, {RESULT_OF: self._task_id, "token": self._context.progress_token})

    async def run(self, channel: ClientConnection) -> Result:
        """What tools/call would have answered ("MUST return exactly what the underlying request would have returned").
        Raises TaskFailed, and Unavailable when this pod drains, so that the client asks another one."""
        context = self._context
        related = {RELATED_TASK_KEY: {"taskId": self._task_id}}
        place = None if context.session is None else context.session.resumed_at
        last, interval = None if place is None else place.progress, context.settings.mcp_progress_interval
        channel, progress = beating(channel, context.progress_token, interval, last=last, meta=related)
        if context.session is not None:
            context.session.where = lambda: (0, None if progress is None else progress.last)
        limit = WaitLimit.within(UNLIMITED, context.settings, context.draining)
        task = await outcome(context, self._wait(), channel, limit, related)
        while task is not None and not task.status.terminal:
            # This client does not answer what is open; the next question it may.
            task = await outcome(context, self._wait(task), channel, limit, related)
        if task is None:
            raise Unavailable("the gateway is restarting, ask for the result again")
        return await outcome_of(context, task, related)

    def _wait(self, asking: Task | None = None) -> TaskWait:
        """The wait for the end or a question; `asking`: a task whose question others answer."""
        tasks, caller, pause = self._context.tasks, self._context.caller, None if asking is None else asking.pause
        if asking is None:
            return TaskWait(tasks, self._task_id, caller)
        past, after = None if pause is None else pause.id, asking.last_seq
        return TaskWait(tasks, self._task_id, caller, past=past, after=after, to_end=pause is None)

    def abandon(self) -> None:
        """Nothing: "clients MAY disconnect from an SSE stream opened in response to tasks/result at any time"."""


def _check_revision(context: RequestContext) -> None:
    if not context.revision.experimental_tasks:
        raise MethodNotFound(context.method)


async def shown(context: RequestContext, task: Task) -> dict[str, Any]:
    """The members of the Task object for this request's client. Raises Overloaded."""
    error = None if task.error is None else task.error.error_class
    status, message = status_of(task, error), message_of(task)
    if status is McpStatus.COMPLETED:
        failure = (await outcome_of(context, task)).error_text
        if failure is not None:
            # The official client raises the message and never asks for the result.
            return _members(context, task, McpStatus.FAILED, bounded(failure, LONGEST_MESSAGE))
    if status is McpStatus.INPUT_REQUIRED:
        # What this client is asked, tasks/result asks it in its session; the text says where the rest is answered.
        message = asked_of(context, task).message or message
    return _members(context, task, status, message)


async def _listed(context: RequestContext, page: Sequence[TaskHead]) -> tuple[list[dict[str, Any]], int]:
    """The tasks of a page as tasks/get shows them, and how many were looked at: results are read, since one may be an
    error of the flow's own, but not many large ones for one page. Raises Overloaded, Unavailable."""
    items: list[dict[str, Any]] = []
    size = 0
    for number, head in enumerate(page):
        if size > MOST_READ:
            return items, number
        if head.status is not TaskStatus.SUCCEEDED:
            items.append(_unread(context, head))
            continue
        try:
            task = await context.tasks.get(head.id, context.caller, payload=False)
        except TaskNotFound:
            # It was removed meanwhile.
            continue
        size += len(task.result or "")
        items.append(await shown(context, task))
    return items, len(page)


def _unread(context: RequestContext, task: TaskHead) -> dict[str, Any]:
    """A task of a list that has no result."""
    error = None if task.error is None else task.error.error_class
    failed = task.status is TaskStatus.FAILED
    status = McpStatus.FAILED if failed else status_of(task, error)
    return _members(context, task, status, message_of(task))


def _members(context: RequestContext, task: TaskHead, status: McpStatus, message: str | None) -> dict[str, Any]:
    return task_members(task, status, message, EXPERIMENTAL, context.settings.retention_tasks, context.tasks.clock())


def cursor_of(created_at: datetime, task_id: str) -> str:
    """The opaque cursor of the page after this task, which any replica can read."""
    return base64.urlsafe_b64encode(jsontext.dumps([format_time(created_at), task_id]).encode()).decode()


def read_cursor(params: Mapping[str, Any]) -> tuple[datetime, str] | None:
    """The (created_at, id) in a cursor of cursor_of; None without a cursor. Raises InvalidParams."""
    cursor = params.get("cursor")
    if cursor is None:
        return None
    try:
        if not isinstance(cursor, str) or len(cursor) > LONGEST_CURSOR:
            raise ValueError
        moment, task_id = jsontext.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        created_at = parse_time(moment) if isinstance(moment, str) else None
        if created_at is None:
            raise ValueError
        return created_at, check_id(task_id)
    except (ValueError, TypeError, binascii.Error):
        raise InvalidParams("cursor: expected the nextCursor of an earlier answer") from None

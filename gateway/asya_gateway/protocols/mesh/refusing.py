"""Reports that end or stop a task and cannot be taken. Whoever sent one has acknowledged its message or is about to, so
that nothing else would ever be heard of the task: it fails with the reason. A final report that arrives incompletely
may come again, if the message does; its task fails after a grace."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from enum import StrEnum

from aiohttp import web

from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.errors import GatewayError, InvalidInput, Overloaded, TooLarge
from asya_gateway.domain.reports import FinalReport
from asya_gateway.domain.task import MESH, owner_of
from asya_gateway.protocols.http.background import BACKGROUND
from asya_gateway.protocols.http.errors import BodyTimeout
from asya_gateway.protocols.http.fields import Body
from asya_gateway.protocols.http.keys import TASKS
from asya_gateway.protocols.mesh.hops import task_id_of

log = logging.getLogger(__name__)

_UNSAID = ("id", "status", "type")
"""Fields without which a report says neither of which task it is nor what it is."""

_UNIFIED_STATUS = re.compile(rb'\s*\{\s*"type"\s*:\s*"status"\s*,')
_UNIFIED_END = re.compile(rb'\s*\{\s*"type"\s*:\s*"status"\s*,\s*"status"\s*:\s*"(succeeded|failed)"')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)
_METADATA = b'"pause_metadata"'
_PAUSED = (b'"paused"', b'"auth_required"')
LONG_HEAD = 64 * 1024
"""Bytes of an unread report that are looked at: before what is large stand its route and its question."""
_HEAD_SECONDS = 5.0
_REPEATS = ("asya-actor", "Python/")
"""How the User-Agent of this project's workers and crew begins (of versions before this one, the second). They send a
report until mesh takes it, so that nothing is lost with one that breaks off."""


class Lost(StrEnum):
    """What a refusal takes from its task, in the words of the failure."""

    RESULT = "result"
    PAUSE = "pause"


@contextlib.asynccontextmanager
async def failing_its_task(request: web.Request, reported: str, lost: Lost, body: Body) -> AsyncIterator[None]:
    """Fail the task where the block refuses its report (InvalidInput, TooLarge), which the caller is told as always.
    `body` is what is known of the report."""
    try:
        yield
    except (InvalidInput, TooLarge) as error:
        if error.field not in _UNSAID and not _cut_off(request):
            await request.app[TASKS].finish(_failure(reported, lost, body, error))
        raise


def _always() -> bool:
    return True


@contextlib.contextmanager
def incomplete_final(request: web.Request, reported: str, is_final: Callable[[], bool] = _always) -> Iterator[None]:
    """Where the block cannot read the whole of a final report (its sender's own timeout closed the connection, it took
    too long, this process is ending), its task waits for another only a while longer."""
    try:
        yield
    except (InvalidInput, Overloaded, BodyTimeout, asyncio.CancelledError) as error:
        unread = _cut_off(request) if isinstance(error, InvalidInput) else True
        if unread and is_final() and not request.headers.get("User-Agent", "").startswith(_REPEATS):
            log.warning("a final report arrived incompletely: the task fails unless it comes again")
            request.app[BACKGROUND].start(request.app[TASKS].expect_final(task_id_of(reported)))
        raise


async def lost_unread(request: web.Request, head: bytes | bytearray, *, unified: bool = False) -> Lost | None:
    """What is lost with a report that is too large to be read, by its beginning as sidecars and crews write it. `head`
    is what was read of it, if anything was."""
    beginning = bytes(head)
    with contextlib.suppress(web.RequestPayloadError, TimeoutError):
        async with asyncio.timeout(_HEAD_SECONDS):
            while len(beginning) < LONG_HEAD and (part := await request.content.read(LONG_HEAD - len(beginning))):
                beginning += part
    if unified and _UNIFIED_STATUS.match(beginning) is None:
        return None
    if unified and is_end(beginning):
        return Lost.RESULT
    return Lost.PAUSE if begins_as_pause(beginning, level=2 if unified else 1) else None


def begins_as_pause(head: bytes, *, level: int = 1) -> bool:
    """Whether the beginning of a document says that it is a pause, in the members at this level: what a payload or a
    frame further inside says counts for nothing."""
    depth, key, last = 0, b"", b""
    for token in _TOKEN.findall(head):
        match token:
            case b"{" | b"[":
                if depth == level and key == _METADATA:
                    return True
                depth += 1
            case b"}" | b"]":
                depth -= 1
            case b":" if depth == level:
                key = last
            case b"," if depth == level:
                key = b""
            case _:
                if depth == level and (key == _METADATA or (key == b'"status"' and token in _PAUSED)):
                    return True
                last = token
    return False


def is_end(event: bytes | bytearray) -> bool:
    """Whether a unified event that cannot be decoded reports an end, by its beginning as sidecars write it."""
    return _UNIFIED_END.match(event) is not None


def mentions_pause(report: bytes) -> bool:
    """Whether a report that cannot be decoded (nested too deeply, say) is perhaps a pause. Its sender drops the
    message, so its task would go nowhere."""
    return b'"pause_metadata"' in report


def is_pause_event(event: bytes) -> bool:
    """The same of a unified event; live events may hold any text."""
    return _UNIFIED_STATUS.match(event) is not None and mentions_pause(event)


def _cut_off(request: web.Request) -> bool:
    """Whether the caller is gone, so that the report may come again."""
    return request.transport is None or request.transport.is_closing()


def _failure(reported: str, lost: Lost, body: Body, error: GatewayError) -> FinalReport:
    reason = {
        Lost.RESULT: f"the gateway rejected the result: {error.text}",
        Lost.PAUSE: f"the task cannot pause: {error.text}",
    }[lost]
    kind = "BadPause"
    if lost is Lost.RESULT:
        kind = "ResultTooLarge" if isinstance(error, TooLarge) else "ResultRefused"
    details = {"message": reason, "type": kind}
    actor = _actor_of(body)
    failed = TaskError("runtime_error", reason, ErrorClass.RUNTIME, actor=actor, details=details)
    return FinalReport(task_id_of(reported), TaskStatus.FAILED, reason, error=failed, actor=actor, owner=owner_of(MESH))


def _actor_of(body: Body) -> str | None:
    """The actor that a report comes from: the last one before where its message would go."""
    prev = body.get("prev")
    found = prev[-1] if isinstance(prev, list) and prev else body.get("current_actor_name") or body.get("curr")
    return found if isinstance(found, str) and 0 < len(found) <= 255 else None

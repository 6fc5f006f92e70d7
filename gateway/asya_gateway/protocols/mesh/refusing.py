"""Reports that end or pause a task but cannot be accepted. Their sender acknowledges the message, so no other report of
the task would follow: the task fails with the reason. An incomplete final report may be repeated if the message is
redelivered; its task fails after a grace period."""

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
from asya_gateway.domain.identity.principals import MESH
from asya_gateway.domain.owners import owner_of
from asya_gateway.domain.reports import FinalReport
from asya_gateway.protocols.http.arriving import HEAD_BYTES
from asya_gateway.protocols.http.background import BACKGROUND
from asya_gateway.protocols.http.errors import BodyTimeout
from asya_gateway.protocols.http.fields import Body
from asya_gateway.protocols.http.keys import TASKS
from asya_gateway.protocols.mesh.hops import task_id_of
from asya_gateway.protocols.mesh.pause_search import PauseSearch

log = logging.getLogger(__name__)

_UNSAID = ("id", "status", "type")
"""Fields that say which task a report is about and what it is."""

_UNIFIED_STATUS = re.compile(rb'\s*\{\s*"type"\s*:\s*"status"\s*,')
_UNIFIED_END = re.compile(rb'\s*\{\s*"type"\s*:\s*"status"\s*,\s*"status"\s*:\s*"(succeeded|failed)"')
_PART = 64 * 1024
"""Bytes of an unread report that are searched in one step, which takes some milliseconds."""
_LOOK_SECONDS = 5.0
"""How long an unread report is searched. Its sender also gives up after this time."""
_REPEATS = ("asya-actor", "Python/")
"""Prefixes of the User-Agent of this project's workers and crew (the second one for earlier versions). They repeat a
report until mesh accepts it, so an incomplete one loses nothing."""


class Lost(StrEnum):
    """What a task loses by a refusal, which decides the wording of its failure."""

    RESULT = "result"
    PAUSE = "pause"


@contextlib.asynccontextmanager
async def failing_its_task(request: web.Request, reported: str, lost: Lost, body: Body) -> AsyncIterator[None]:
    """Fail the task if the block refuses its report (InvalidInput, TooLarge); the error is raised as usual. `body` is
    the known part of the report."""
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
    """If the block cannot read a complete final report (its sender's timeout closed the connection, it took too long,
    or this process is ending), the task waits only a limited time for another one."""
    try:
        yield
    except (InvalidInput, Overloaded, BodyTimeout, asyncio.CancelledError) as error:
        unread = _cut_off(request) if isinstance(error, InvalidInput) else True
        if unread and is_final() and not request.headers.get("User-Agent", "").startswith(_REPEATS):
            log.warning("a final report arrived incompletely: the task fails unless it comes again")
            request.app[BACKGROUND].start(request.app[TASKS].expect_final(task_id_of(reported)))
        raise


async def lost_unread(request: web.Request, head: bytes | bytearray, *, unified: bool = False) -> Lost | None:
    """What is lost with a report that is too large. Its members are searched as it arrives, without keeping it. `head`
    is the part already read."""
    search, beginning = PauseSearch(level=2 if unified else 1), bytearray()
    with contextlib.suppress(web.RequestPayloadError, TimeoutError):
        async with asyncio.timeout(_LOOK_SECONDS):
            async for part in _parts(request, head):
                if unified and len(beginning) < HEAD_BYTES:
                    beginning += part
                    if len(beginning) < HEAD_BYTES and not request.content.at_eof():
                        continue
                    if is_end(beginning):
                        return Lost.RESULT
                    if _UNIFIED_STATUS.match(beginning) is None:
                        return None
                    part = bytes(beginning)
                if search.finds(part):
                    return Lost.PAUSE
    return None


async def _parts(request: web.Request, head: bytes | bytearray) -> AsyncIterator[bytes]:
    """The part of the body already read, and the rest, in small parts, so that other requests can run in between."""
    for start in range(0, len(head), _PART):
        yield bytes(head[start : start + _PART])
        await asyncio.sleep(0)
    while part := await request.content.read(_PART):
        yield part
        await asyncio.sleep(0)


def is_end(event: bytes | bytearray) -> bool:
    """Whether a unified event that cannot be decoded reports an end, judged by its beginning as sidecars write it."""
    return _UNIFIED_END.match(event) is not None


def mentions_pause(report: bytes) -> bool:
    """Whether a report that cannot be decoded (for example because it is nested too deeply) may be a pause. Its sender
    drops the message, so the task could not continue."""
    return b'"pause_metadata"' in report


def is_pause_event(event: bytes) -> bool:
    """The same for a unified event; live events may contain any text."""
    return _UNIFIED_STATUS.match(event) is not None and mentions_pause(event)


def _cut_off(request: web.Request) -> bool:
    """Whether the caller has left, so that the report may be repeated."""
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
    """The actor that sent a report: the last one before the message's next actor."""
    prev = body.get("prev")
    found = prev[-1] if isinstance(prev, list) and prev else body.get("current_actor_name") or body.get("curr")
    return found if isinstance(found, str) and 0 < len(found) <= 255 else None

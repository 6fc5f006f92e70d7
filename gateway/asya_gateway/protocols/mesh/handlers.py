"""The handlers of the API document's routes, for sidecars, workers and crew."""

from collections.abc import Coroutine
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from asya_crds.mesh_messages import ActiveAnswer, CreatedAnswer, OkAnswer, ProgressAnswerMessage
from asya_crds.status import RUNNABLE, ClaimAction, HopState, TaskStatus
from asya_gateway.domain.budget import Share
from asya_gateway.domain.errors import InvalidInput, TooLarge
from asya_gateway.domain.identity.principals import MESH
from asya_gateway.domain.reports import PauseReport, ProgressAnswer, ProgressReport
from asya_gateway.domain.task import FlyEvent, JsonText
from asya_gateway.protocols.http.answers import PlainEmpty, json_response
from asya_gateway.protocols.http.bodies import as_object, decode_body, read_bytes, read_json, read_object
from asya_gateway.protocols.http.fields import Body
from asya_gateway.protocols.http.keys import SETTINGS, TASKS
from asya_gateway.protocols.http.paths import path_id
from asya_gateway.protocols.http.rendering import percent, task_json, with_verbatim
from asya_gateway.protocols.http.streaming import stream_task
from asya_gateway.protocols.mesh.children import decode_child
from asya_gateway.protocols.mesh.finals import decode_final
from asya_gateway.protocols.mesh.hops import task_id_of
from asya_gateway.protocols.mesh.live import pieces
from asya_gateway.protocols.mesh.progress import decode_progress, is_pause
from asya_gateway.protocols.mesh.refusing import Lost, failing_its_task, incomplete_final, lost_unread, mentions_pause
from asya_gateway.protocols.mesh.reports import OFFER

_OK = jsontext.dumps(OkAnswer().whole())
_ACTIVE, _INACTIVE = (jsontext.dumps(ActiveAnswer(active=active).whole()) for active in (True, False))
_LARGE_PARTS = ("frames", "checkpoint")
_ENCODED = (*_LARGE_PARTS, "pause_metadata")
_CUT = ("error", "error_details", "metadata", "")
"""Parts of a final report, and finally the whole, of which only small members are kept."""


async def create_child(request: web.Request) -> web.Response:
    """POST /mesh, and the older POST /tasks: a sidecar announces a child that it sends itself."""
    body = await read_object(request, request.app[SETTINGS].max_report_bytes, share=Share.REPORTS)
    child = decode_child(body)
    await request.app[TASKS].announce(child)
    return json_response(jsontext.dumps(CreatedAnswer.saying(id=body["id"]).whole()), status=HTTPStatus.CREATED)


async def get_task(request: web.Request) -> web.Response:
    """GET /mesh/{id}, which newer sidecars request before they run a hop. Below an ended task the answer is canceled,
    even if the task's own end is not stored yet."""
    tasks = request.app[TASKS]
    task = await tasks.get(task_id_of(path_id(request)), MESH)
    if task.parent_id is not None and task.status in RUNNABLE and await tasks.ends_with_ancestor(task.id):
        task = replace(task, status=TaskStatus.CANCELED)
    return json_response(task_json(task))


async def stream(request: web.Request) -> web.StreamResponse:
    """GET /mesh/{id}/stream."""
    return await stream_task(request, task_id_of(path_id(request)), MESH)


async def active(request: web.Request) -> web.Response:
    """GET /mesh/{id}/active: 410 if work on the task no longer makes sense."""
    if await request.app[TASKS].active(task_id_of(path_id(request))):
        return json_response(_ACTIVE)
    return json_response(_INACTIVE, status=HTTPStatus.GONE)


async def progress(request: web.Request) -> web.Response:
    """POST /mesh/{id}/progress; an unknown id also gets 200."""
    settings = request.app[SETTINGS]
    most, head = max(settings.max_report_bytes, settings.max_final_bytes), bytearray()
    try:
        data = await read_bytes(request, most, share=Share.REPORTS, head=head)
    except TooLarge:
        if await lost_unread(request, head) is Lost.PAUSE:
            async with failing_its_task(request, path_id(request), Lost.PAUSE, {}):
                raise
        raise
    try:
        body = as_object(
            await decode_body(request, data, encoded=_ENCODED, texts=_LARGE_PARTS, cuts=("",), share=Share.REPORTS)
        )
    except (InvalidInput, TooLarge):
        if not mentions_pause(data):
            raise
        async with failing_its_task(request, path_id(request), Lost.PAUSE, {}):
            raise
    report, answer = await take_progress(request, path_id(request), body, size=len(data))
    return json_response(render_answer(report, answer))


async def final(request: web.Request) -> web.Response:
    """POST /mesh/{id}/final; the first final report wins."""
    reported = path_id(request)
    async with failing_its_task(request, reported, Lost.RESULT, {}):
        with incomplete_final(request, reported):
            body = await read_object(
                request, request.app[SETTINGS].max_final_bytes, encoded=("result",), cuts=_CUT, share=Share.REPORTS
            )
        report = decode_final(reported, body)
    await request.app[TASKS].finish(report)
    return json_response(_OK)


async def fly(request: web.Request) -> web.Response:
    """POST /mesh/{id}/fly: an empty 200 once the event (from our worker: the events) is on its way to all pods."""
    task_id = task_id_of(path_id(request))
    found = await read_json(request, request.app[SETTINGS].max_fly_bytes, then=pieces)
    await request.app[TASKS].fly([FlyEvent(task_id, name, text) for name, text in found])
    return PlainEmpty()


def take_progress(
    request: web.Request, reported: str, body: Body, *, size: int = 0
) -> Coroutine[Any, Any, tuple[ProgressReport | PauseReport, ProgressAnswer]]:
    """Decode a report of `size` bytes and pass it to the domain. A pause that cannot be accepted fails its task.

    The limit of reports is small; one that contains envelopes may be as large as a final report. Raises InvalidInput,
    TooLarge.
    """
    return (_pause_taken if is_pause(body) else _taken)(request, reported, body, size)


async def _pause_taken(
    request: web.Request, reported: str, body: Body, size: int
) -> tuple[ProgressReport | PauseReport, ProgressAnswer]:
    async with failing_its_task(request, reported, Lost.PAUSE, body):
        return await _taken(request, reported, body, size)


async def _taken(
    request: web.Request, reported: str, body: Body, size: int
) -> tuple[ProgressReport | PauseReport, ProgressAnswer]:
    app = request.app
    limit = app[SETTINGS].max_report_bytes
    if size > limit and not any(body.get(part) for part in _LARGE_PARTS):
        raise TooLarge(f"expected a body of at most {limit} bytes")
    report = decode_progress(reported, body)
    if isinstance(report, PauseReport):
        return report, await app[TASKS].pause(report)
    return report, await app[TASKS].report(report)


def render_answer(report: ProgressReport | PauseReport, answer: ProgressAnswer) -> str:
    """{status, progress_percent}, and for a claim the worker's action, its remaining time and, at its beginning, the
    offer to take its further reports together."""
    progress_percent = percent(answer.progress)
    if isinstance(report, PauseReport) or report.claim is None:
        return _without_claim(progress_percent)
    said = ProgressAnswerMessage.wire(
        progress_percent=progress_percent,
        action=answer.action,
        lease_seconds=answer.lease,
        remaining_seconds=None if answer.remaining is None else round(answer.remaining, 3),
        batch=OFFER if report.state is HopState.RECEIVED else None,
    )
    frames: dict[str, JsonText | None] = {}
    if answer.action is ClaimAction.DONE and answer.frames is not None:
        frames["frames"] = answer.frames
    return with_verbatim(said, frames)


@lru_cache(maxsize=1024)
def _without_claim(progress_percent: float) -> JsonText:
    """Cached: there are at most a thousand texts, because a percentage has one decimal digit."""
    return jsontext.dumps(ProgressAnswerMessage.wire(progress_percent=progress_percent))

"""POST /mesh/hops/reports: the reports of many hops in one request. Each is taken and answered by itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web

from asya_crds import jsontext
from asya_crds.hop_reports import BeginAnswer, EndAnswer, EndOutcome, ReportError, ReportKind, Yours
from asya_crds.mesh_messages import BatchOffer
from asya_gateway.domain.budget import Share
from asya_gateway.domain.errors import GatewayError, InvalidInput, TooLarge
from asya_gateway.domain.hop_reports import HopBegun, HopEnded
from asya_gateway.domain.reports import ProgressAnswer
from asya_gateway.domain.task import JsonText
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.bodies import as_object, decode_body, read_bytes
from asya_gateway.protocols.http.errors import STATUS_OF
from asya_gateway.protocols.http.fields import Body
from asya_gateway.protocols.http.keys import SETTINGS, TASKS
from asya_gateway.protocols.http.rendering import with_verbatim
from asya_gateway.protocols.mesh.hop_decoding import (
    BESIDE,
    NamedQueues,
    decode_alive,
    decode_begin,
    decode_end,
    decode_part,
    decode_queues,
)

log = logging.getLogger(__name__)

MIB = 1024 * 1024
OFFER = BatchOffer.wire(rows=256, bytes=MIB)
"""What a worker is told in the answer to `received`: how much to put into one request."""
MOST_REPORTS = 1024
"""More reports in a request are refused."""
ANY_DEPTH = 1_000_000
"""Nothing of a report is decoded or encoded further below, so its depth is bounded by the decoder's own limit alone.
To walk each batch for it costs as much as decoding."""
DECODED_HERE = MIB
"""A larger body is decoded in the other process: it is text within text, which is slow to decode."""


class _Taken(NamedTuple):
    """A report whose answer is awaited."""

    answer: Awaitable[Any]
    render: Callable[[Any], JsonText]


class Reports:
    """The route of one application."""

    def __init__(self, app: web.Application) -> None:
        self._settings = app[SETTINGS]
        self._tasks = app[TASKS]

    async def take(self, request: web.Request) -> web.Response:
        """Answers in the order of the reports. The request as a whole is refused only if it cannot be read."""
        settings = self._settings
        data = await read_bytes(request, 2 * settings.max_final_bytes + MIB, share=Share.REPORTS)
        body = as_object(
            await decode_body(request, data, max_depth=ANY_DEPTH, share=Share.REPORTS, most_bytes=DECODED_HERE)
        )
        queues = decode_queues(body, self._own_queues)
        reports = body.get("reports")
        if not isinstance(reports, list):
            raise InvalidInput("expected a list of reports", field="reports")
        if len(reports) > MOST_REPORTS:
            raise TooLarge(f"expected at most {MOST_REPORTS} reports", field="reports")
        most_bytes = settings.max_final_bytes + BESIDE
        taking = _Taking(self._tasks, queues, most_bytes, large=len(data) > most_bytes)
        answers = await _answers([taking.take(report) for report in reports])
        return json_response(f'{{"answers":[{",".join(answers)}]}}')

    @cached_property
    def _own_queues(self) -> tuple[str, str, str]:
        """(transport, namespace, place)."""
        settings = self._settings
        return settings.transport, settings.namespace, settings.queues.place


class _Taking:
    """Passes the reports of a request to the domain."""

    def __init__(self, tasks: Tasks, queues: NamedQueues, most_bytes: int, *, large: bool) -> None:
        self._tasks = tasks
        self._queues = queues
        self._most_bytes = most_bytes
        self._large = large

    def take(self, report: Any) -> _Taken | JsonText:
        """The report on its way, or the answer to one that cannot be taken."""
        try:
            return self._take(report)
        except GatewayError as error:
            return _refusal(error)

    def _take(self, report: Any) -> _Taken | JsonText:
        if not isinstance(report, dict):
            raise InvalidInput("expected an object {kind, …}")
        match report.get("kind"):
            case ReportKind.BEGIN.value:
                return _Taken(self._tasks.begin(decode_begin(report)), _begun)
            case ReportKind.END.value:
                return self._end(report)
            case ReportKind.PART.value:
                return self._part(report)
            case ReportKind.ALIVE.value:
                return _Taken(self._tasks.report(decode_alive(report)), _alive)
            case _:
                raise InvalidInput(f"expected one of {', '.join(ReportKind)}", field="kind")

    def _end(self, report: Body) -> _Taken | JsonText:
        if not self._queues.same:
            return _YOURS[Yours.QUEUES]
        try:
            end = decode_end(report, self._queues, self._most_bytes, large=self._large)
        except TooLarge:
            return _YOURS[Yours.TOO_LARGE]
        return _Taken(self._tasks.end(end), _ended)

    def _part(self, report: Body) -> _Taken | JsonText:
        if not self._queues.same:
            return _YOURS[Yours.QUEUES]
        try:
            part = decode_part(report, self._most_bytes, large=self._large)
        except TooLarge:
            return _YOURS[Yours.TOO_LARGE]
        return _Taken(self._tasks.keep_part(part), _ended)


async def _answers(taken: Sequence[_Taken | JsonText]) -> Iterable[JsonText]:
    waiting = [each for each in taken if isinstance(each, _Taken)]
    found = iter(await asyncio.gather(*(each.answer for each in waiting), return_exceptions=True))
    return [each if isinstance(each, str) else _rendered(each, next(found)) for each in taken]


def _rendered(taken: _Taken, answer: Any) -> JsonText:
    if isinstance(answer, GatewayError):
        return _refusal(answer)
    if isinstance(answer, BaseException):
        log.error("a report of a hop could not be taken", exc_info=answer)
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
    return taken.render(answer)


def _refusal(error: GatewayError) -> JsonText:
    status = STATUS_OF.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    return _error(status, error.message, field=error.field, retry_after=error.retry_after)


def _error(status: HTTPStatus, message: str, **more: Any) -> JsonText:
    return jsontext.dumps({"error": ReportError.wire(status=status.value, message=message, **more)})


def _begun(begun: HopBegun) -> JsonText:
    said = BeginAnswer.wire(
        action=begun.action,
        known=begun.known,
        lease_seconds=begun.lease if begun.known else None,
        remaining_seconds=None if begun.remaining is None else round(begun.remaining, 3),
    )
    return with_verbatim(said, {} if begun.frames is None else {"frames": begun.frames})


def _alive(answer: ProgressAnswer) -> JsonText:
    return jsontext.dumps(
        BeginAnswer.wire(
            action=answer.action,
            known=answer.known,
            lease_seconds=answer.lease if answer.known else None,
            remaining_seconds=None if answer.remaining is None else round(answer.remaining, 3),
        )
    )


_YOURS = {reason: jsontext.dumps(EndAnswer.wire(outcome=EndOutcome.YOURS, reason=reason)) for reason in Yours}
_OUTCOMES: dict[EndOutcome, JsonText] = {
    outcome: jsontext.dumps(EndAnswer.wire(outcome=outcome))
    for outcome in EndOutcome
    if outcome is not EndOutcome.YOURS
}


def _ended(ended: HopEnded) -> JsonText:
    return _OUTCOMES[ended.outcome] if ended.reason is None else _YOURS[ended.reason]

"""Reports of hops that travel together: POST /mesh/hops/reports, for a mesh that has offered it.

A line leads to one gateway. At most two of its requests are under way. What is reported meanwhile waits for the next
one, so that reports are sent alone while there is little to report, and in large batches under load. A repeated report
is answered as the first was, so a request whose answer was lost is sent again.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, NamedTuple

from asya_actor.mesh.client import LATER, BatchLimits, MeshClient, MeshRefused, MeshUnavailable
from asya_actor.mesh.signs import Together
from asya_actor.retry_pauses import FIRST_PAUSE, LONGEST_PAUSE
from asya_actor.telemetry.metrics import REPORT_RETRIES
from asya_crds import jsontext

log = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024
"""Most bytes of reports in one request; a larger report is sent alone."""
UNDER_WAY = 2
WAITING = 32
"""Reports that wait for a second request while one is under way, or SECOND_AFTER seconds."""
SECOND_AFTER = 0.002
TURNS = 3
"""Turns of the event loop between a report and its request. In these, the hop that begins in the place of one that ends
reports its beginning, so that both are in one request."""

_NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_NOWHERE = Context()
"""Requests serve many hops, so nothing of one hop's trace or log context belongs to them."""


class NotOffered(Exception):
    """This mesh does not take reports together, or no longer: they must be sent one by one."""


@dataclass(slots=True)
class _Waiting:
    data: bytes
    rows: int
    answer: "asyncio.Future[Mapping[str, Any]]"
    pause: float = FIRST_PAUSE
    tries: int = 0


class Line(NamedTuple):
    """What a line is for: the gateway's URL, and the worker's queues as JSON text."""

    base: str
    queues: str


@dataclass
class ReportLine:
    """The reports to one gateway by the workers of one set of queues."""

    client: MeshClient
    line: Line
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _under_way: int = 0
    _large: bool = False
    _due: asyncio.Handle | None = None
    _soon: bool = False
    _requests: "set[asyncio.Task[None]]" = field(default_factory=set)

    @property
    def base(self) -> str:
        """The gateway's URL."""
        return self.line.base

    @cached_property
    def together(self) -> Together:
        """For reports that are sent beside this line."""
        return Together(self.base, self.line.queues, self.client.offers)

    async def submit(self, report: str, *, rows: int = 1) -> Mapping[str, Any]:
        """Send one report, JSON text; returns mesh's answer to it. `rows`: how many rows it makes.

        Raises NotOffered, and MeshRefused if mesh will never accept the report.
        """
        data = report.encode()
        if self._offer is None:
            raise NotOffered
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(data, rows, answer))
        self._consider()
        return await answer

    async def close(self) -> None:
        """Stop the requests under way; reports that wait are not answered."""
        if self._due is not None:
            self._due.cancel()
        for task in self._requests:
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)

    @property
    def _offer(self) -> BatchLimits | None:
        return self.client.offers.get(self.base)

    def _consider(self) -> None:
        """Plan the next request."""
        if not self._waiting or self._under_way >= UNDER_WAY:
            return
        if self._under_way == 0 or len(self._waiting) >= WAITING:
            if self._due is not None:
                if self._soon:
                    return
                self._due.cancel()
            self._soon = True
            self._after_turns(TURNS)
        elif self._due is None:
            self._soon = False
            self._due = asyncio.get_running_loop().call_later(SECOND_AFTER, self._flush, context=_NOWHERE)

    def _after_turns(self, turns: int) -> None:
        """Flush after so many turns of the loop."""
        call, args = (self._after_turns, (turns - 1,)) if turns else (self._flush, ())
        self._due = asyncio.get_running_loop().call_soon(call, *args, context=_NOWHERE)

    def _flush(self) -> None:
        self._due = None
        if self._under_way >= UNDER_WAY:
            return
        batch, large = self._take()
        if not batch:
            return
        self._under_way += 1
        self._large = self._large or large
        request = asyncio.create_task(self._carry(batch, large), name=f"reports-{self.base}")
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        self._consider()

    def _take(self) -> tuple[list[_Waiting], bool]:
        """The reports of the next request, in order; a large one alone, and only one of them at a time, so that no
        other report waits behind two. Returns also whether it is large."""
        offer = self._offer
        if offer is None:
            self._turn_away(self._waiting)
            self._waiting.clear()
            return [], False
        most_bytes = min(offer.bytes, MOST_BYTES)
        batch: list[_Waiting] = []
        kept: list[_Waiting] = []
        rows, size = 0, 0
        while self._waiting:
            one = self._waiting[0]
            large = len(one.data) > most_bytes or one.rows > offer.rows
            if one.answer.done():  # whoever reported it was cancelled
                self._waiting.popleft()
            elif large and self._large:
                kept.append(self._waiting.popleft())
            elif batch and (large or rows + one.rows > offer.rows or size + len(one.data) > most_bytes):
                break
            else:
                batch.append(self._waiting.popleft())
                rows, size = rows + one.rows, size + len(one.data)
                if large:
                    break
        self._waiting.extendleft(reversed(kept))
        return batch, bool(batch) and (size > most_bytes or rows > offer.rows)

    async def _carry(self, batch: list[_Waiting], large: bool) -> None:
        try:
            await self._deliver(batch)
        except Exception:
            log.exception("sending reports to %s", self.base)
            self._turn_away(batch)
        finally:
            self._under_way -= 1
            if large:
                self._large = False
            with contextlib.suppress(RuntimeError):  # the loop is being closed
                self._consider()

    async def _deliver(self, batch: Sequence[_Waiting]) -> None:
        """Repeat a request until it is accepted, or refused for good."""
        pause, tries = FIRST_PAUSE, 0
        while batch := [one for one in batch if not one.answer.done()]:
            try:
                text = await self.client.reports(self.base, self._body(batch))
            except MeshRefused as refusal:
                if refusal.status in _NOT_THERE:
                    return self._withdraw(batch, str(refusal))
                if not refusal.elsewhere:
                    return await self._refused(batch, refusal)
                error: Exception = refusal
            except MeshUnavailable as unavailable:
                error = unavailable
            else:
                return self._answered(batch, text)
            tries += 1
            REPORT_RETRIES.inc()
            log.log(_level(tries), "mesh does not accept %d reports now (%s), trying again", len(batch), error)
            await asyncio.sleep(max(getattr(error, "retry_after", 0.0), _jittered(pause)))
            pause = min(pause * 2, LONGEST_PAUSE)
        return None

    def _body(self, batch: Sequence[_Waiting]) -> bytes:
        reports = b",".join([one.data for one in batch])
        return b'{"queues":%b,"reports":[%b]}' % (self.line.queues.encode(), reports)

    async def _refused(self, batch: Sequence[_Waiting], refusal: MeshRefused) -> None:
        """Mesh refuses the whole request: find the report at fault."""
        if len(batch) == 1:
            if not batch[0].answer.done():  # whoever reported it may have been cancelled meanwhile
                batch[0].answer.set_exception(refusal)
            return
        step = (len(batch) + 1) // 2 if refusal.too_large else 1
        for start in range(0, len(batch), step):
            await self._deliver(batch[start : start + step])

    def _answered(self, batch: Sequence[_Waiting], text: bytes) -> None:
        answers = _answers(text, len(batch))
        if answers is None:
            return self._withdraw(batch, f"it answered {text[:200]!r}")
        for one, answer in zip(batch, answers, strict=True):
            if not one.answer.done():
                self._settle(one, answer)
        return None

    def _settle(self, one: _Waiting, answer: Mapping[str, Any]) -> None:
        error = answer.get("error")
        if error is None:
            one.answer.set_result(answer)
            return
        refusal = _refusal(error)
        if refusal.status in LATER or refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            REPORT_RETRIES.inc()
            one.tries += 1
            log.log(_level(one.tries), "mesh does not accept a report now (%s), trying again", refusal)
            wait = max(_seconds(error), _jittered(one.pause))
            one.pause = min(one.pause * 2, LONGEST_PAUSE)
            asyncio.get_running_loop().call_later(wait, self._again, one, context=_NOWHERE)
        else:
            one.answer.set_exception(refusal)

    def _again(self, one: _Waiting) -> None:
        self._waiting.append(one)
        self._consider()

    def _withdraw(self, batch: Sequence[_Waiting], why: str) -> None:
        """Use single reports until mesh offers this again."""
        if self.client.offers.pop(self.base, None) is not None:
            log.info("%s does not take reports together: %s", self.base, why)
        self._turn_away(batch)
        self._turn_away(self._waiting)
        self._waiting.clear()

    def _turn_away(self, batch: Sequence[_Waiting]) -> None:
        for one in batch:
            if not one.answer.done():
                one.answer.set_exception(NotOffered())


def _answers(text: bytes, count: int) -> list[Mapping[str, Any]] | None:
    """None if this is not an answer to so many reports."""
    try:
        value = jsontext.loads(text, max_depth=3 * jsontext.MAX_DEPTH)
    except jsontext.InvalidJSON:
        return None
    answers = value.get("answers") if isinstance(value, dict) else None
    if not isinstance(answers, list) or len(answers) != count or not all(isinstance(one, dict) for one in answers):
        return None
    return answers


def _refusal(error: object) -> MeshRefused:
    found = error if isinstance(error, dict) else {}
    status = found.get("status")
    named = f"{found['field']}: " if isinstance(found.get("field"), str) else ""
    return MeshRefused(
        status if isinstance(status, int) else HTTPStatus.BAD_REQUEST, f"{named}{found.get('message')}"[:500]
    )


def _seconds(error: object) -> float:
    wait = error.get("retry_after") if isinstance(error, dict) else None
    return min(float(wait), 30.0) if isinstance(wait, int | float) and wait > 0 else 0.0


def _level(tries: int) -> int:
    """The level at which a failed attempt is logged: the first, the fifth, then each fiftieth as a warning."""
    return logging.WARNING if tries in (1, 5) or tries % 50 == 0 else logging.DEBUG


def _jittered(pause: float) -> float:
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 # not a secret

"""Ends hops: log, claim, children, the envelopes that follow, the task's success and, where the queues are in the same
database, the acknowledgement of the message, in one statement for a whole batch (hop_end_sql.py)."""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import asyncpg

from asya_crds.envelope import Route
from asya_crds.hop_reports import EndOutcome, Yours
from asya_crds.status import HopState
from asya_gateway.domain.hop_reports import EndReport, HopEnded, HopLog
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.domain.ports import OutboxEntry
from asya_gateway.domain.reports import ChildAnnouncement
from asya_gateway.domain.text import storable
from asya_gateway.storage.columns import NULL, joined
from asya_gateway.storage.crews import HEARD_WITHIN
from asya_gateway.storage.replication import settled
from asya_gateway.storage.tasks.beginning import ordinary
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE, SMALL_BATCH, Enqueue
from asya_gateway.storage.tasks.descendants import Ended
from asya_gateway.storage.tasks.hop_end_sql import statement
from asya_transports.postgres.sessions import session_of

log = logging.getLogger(__name__)

KEPT = 256
"""Longest message of an entry that is kept in a cache."""


class HopEnder:
    """The coalescer's flush for ends. Tasks whose logs grew are told: `over` those that have ended, `moved` those that
    go on, `written` the others. `ended` is called with (flow, surface, status, seconds from acceptance to end) for the
    metrics."""

    def __init__(
        self,
        pool: Callable[[], asyncpg.Pool],
        written: Callable[[Sequence[str]], None],
        moved: Callable[[Sequence[str]], None],
        over: Callable[[Sequence[str]], None],
        ended: Ended,
        enqueue: Enqueue,
    ) -> None:
        self._pool = pool
        self._over = over
        self._written = written
        self._moved = moved
        self._ended = ended
        self._enqueue = enqueue
        self._small = statement(enqueue.prefix, parts=False, children=False)
        self._sql = {parts: statement(enqueue.prefix, parts=parts, children=True) for parts in (False, True)}

    async def flush(self, batch: Sequence[EndReport]) -> Sequence[HopEnded]:
        """End the hops of the batch, with at most one report for each task; returns answers in its order."""
        async with session_of(self._pool()) as connection:
            rows = await self.write(connection, batch)
            if any(row["outcome"] == "again" for row in rows):
                await settled(connection)
        return self._tell(batch, rows)

    async def write(
        self, connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy, batch: Sequence[EndReport]
    ) -> list[asyncpg.Record]:
        """End the hops of the batch on this connection; returns rows for `_tell`."""
        parts = any(report.parts is not None for report in batch)
        children = _children(batch)
        arguments = (*_columns(batch, children), HEARD_WITHIN, self._place(batch))
        if not (parts or children):
            return await connection.fetch(self._small, *arguments)
        return await connection.fetch(self._sql[parts], *arguments, *_announced(children))

    def _tell(self, batch: Sequence[EndReport], rows: Sequence[asyncpg.Record]) -> list[HopEnded]:
        """Wake readers and the receivers of what was committed; returns answers in the batch's order."""
        outcomes: dict[int, str] = {}
        direct: set[int] = set()
        born, queued = [], []
        for row in rows:
            match row["outcome"]:
                case "born":
                    born.append(row["id"])
                case "queued":
                    queued.append(row)
                case outcome:
                    outcomes[row["n"] - 1] = outcome
                    if row["direct"]:
                        direct.add(row["n"] - 1)
                        self._ended(row["flow"], row["surface"], "succeeded", row["took"])
                        log.debug("ended: succeeded", extra={"task_id": row["id"], "flow": row["flow"]})
        # Those of a repeated end too: the process may have died before it rang.
        done = [report for number, report in enumerate(batch) if outcomes[number] in ("ended", "again")]
        moved = [batch[n].task_id for n, outcome in outcomes.items() if outcome == "ended" and n not in direct]
        over = [batch[n].task_id for n in direct if outcomes[n] == "ended"]
        self._over(over)
        self._written([*{report.task_id for report in done}.difference(moved, over), *born])
        self._moved(moved)
        if self._enqueue.in_database:
            self._ring(done, queued, again="again" in outcomes.values())
        else:
            new = [number for number, outcome in sorted(outcomes.items()) if outcome == "ended"]
            self._enqueue.hand_over(_entries([(batch[number], number in direct) for number in new], queued))
        return [_answer(outcomes[number]) for number in range(len(batch))]

    def _ring(self, done: Sequence[EndReport], queued: Sequence[asyncpg.Record], *, again: bool) -> None:
        actors = {row["actor"] for row in queued}
        if again:
            actors.update(send.actor for report in done for send in report.sends)
        if actors:
            self._enqueue.ring(actors)

    def _place(self, batch: Sequence[EndReport]) -> str | float:
        if self._enqueue.prefix is None:
            return OUTBOX_LEASE
        return _joined(sorted({self._enqueue.prefix + send.actor for report in batch for send in report.sends}))


def _entries(ended: Sequence[tuple[EndReport, bool]], queued: Sequence[asyncpg.Record]) -> list[OutboxEntry]:
    """What to publish: the ends' own envelopes, with their new rows of the outbox, which were numbered in the order of
    the reports and their envelopes. The flag says that the report's success was written without its envelope. Those of
    parts are only in their rows."""
    own = [
        (send, report.unroutable.sump)
        for report, direct in ended
        for number, send in enumerate(report.sends)
        if not (direct and report.success is not None and report.success.send == number)
    ]
    rows = sorted(queued, key=lambda row: row["n"])
    if [(row["id"], row["actor"]) for row in rows] != [(send.task_id, send.actor) for send, _ in own]:
        # A poll finds them when their lease has run out.
        log.error("the rows of %d envelopes are not in their order", len(own))
        return []
    return [
        OutboxEntry(row["n"], send.task_id, send.actor, send.body.encode(), sump)
        for row, (send, sump) in zip(rows, own, strict=True)
    ]


def _answer(outcome: str) -> HopEnded:
    match outcome:
        case "ended" | "again":
            return HopEnded(EndOutcome.ENDED)
        case "refused":
            return HopEnded(EndOutcome.REFUSED)
        case reason:
            return HopEnded(EndOutcome.YOURS, Yours(reason))


def _children(batch: Sequence[EndReport]) -> list[tuple[str, ChildAnnouncement]]:
    """The children of the batch, each with the number of its report from 1."""
    sends = ((str(n), send) for n, report in enumerate(batch, 1) for send in report.sends)
    return [(n, send.child) for n, send in sends if send.child is not None]


def _columns(batch: Sequence[EndReport], children: Sequence[tuple[str, ChildAnnouncement]]) -> tuple[Any, ...]:
    """The statement's first arguments."""
    sends = [(str(n), report, send) for n, report in enumerate(batch, 1) for send in report.sends]
    ids = [report.task_id for report in batch]
    family = {each for _, child in children for each in (child.task_id, child.parent_id)}
    return (
        *_reports(batch),
        _joined([n for n, _, _ in sends]),
        _joined([send.actor for _, _, send in sends]),
        _joined([send.task_id for _, _, send in sends]),
        _joined(
            [
                _flag(report.success is not None and report.sends[report.success.send] is send)
                for _, report, send in sends
            ]
        ),
        *_texts_or_arrays([send.body for _, _, send in sends]),
        joined([*ids, *(family - {*ids})]),
    )


def _reports(batch: Sequence[EndReport]) -> tuple[Any, ...]:
    routes = [report.route for report in batch]
    claims = [report.claim for report in batch]
    acks = [report.ack for report in batch]
    successes = [report.success for report in batch]
    return (
        joined([report.task_id for report in batch]),
        joined([claim.hop for claim in claims]),
        joined([claim.claimant for claim in claims]),
        joined([NULL if route.says_nothing else route.to_json() for route in routes]),
        joined([str(len(route.prev)) for route in routes]),
        joined([repr(report.progress) for report in batch]),
        [None if report.log is None else storable(report.log.message) for report in batch],
        joined([route.curr or NULL for route in routes]),
        joined([_entry(report) for report in batch]),
        joined([NULL if report.incarnation is None else str(report.incarnation) for report in batch]),
        joined([NULL if ack is None else str(ack.message) for ack in acks]),
        joined([NULL if ack is None else ack.receipt for ack in acks]),
        joined([repr(float(report.unroutable.seconds)) for report in batch]),
        joined([report.unroutable.sink for report in batch]),
        joined([report.unroutable.sump for report in batch]),
        joined([NULL if report.parts is None else str(report.parts) for report in batch]),
        [None if success is None else success.result for success in successes],
        joined([NULL if report.success is None else report.sends[report.success.send].actor for report in batch]),
        joined([NULL if success is None else success.actor or NULL for success in successes]),
    )


def _announced(children: Sequence[tuple[str, ChildAnnouncement]]) -> tuple[str, ...]:
    """The arguments of a statement with children."""
    return (
        _joined([n for n, _ in children]),
        _joined([child.task_id for _, child in children]),
        _joined([child.parent_id for _, child in children]),
        _joined([child.route.to_json() for _, child in children]),
        _joined([str(child.route.hop) for _, child in children]),
    )


def _texts_or_arrays(bodies: Sequence[str]) -> tuple[str | None, Sequence[str] | None]:
    """Small ones travel as one text, large ones as an array, which takes one copy fewer."""
    if sum(map(len, bodies)) <= SMALL_BATCH:
        return _joined(bodies), None
    return None, bodies


def _joined(values: Sequence[str]) -> str:
    """As `joined`, also for no values."""
    return joined(values) if values else ""


def _flag(value: bool) -> str:  # it is converted
    return "t" if value else "f"


def _entry(report: EndReport) -> str:
    said = report.log
    if said is None:
        return NULL
    kept = ordinary(report.route) and len(said.message or "") < KEPT
    text: str = (_completed if kept else _completed.__wrapped__)(report.route, said)
    return text


@lru_cache(maxsize=4096)
def _completed(route: Route, said: HopLog) -> str:
    """Cached, because the tasks of a flow take the same route, and most handlers a few milliseconds."""
    return ProgressEntry(
        message=said.message,
        route=None if route.says_nothing else route,
        state=HopState.COMPLETED.value,
        duration_ms=said.duration_ms,
    ).to_json()


def end_size(report: EndReport) -> int:
    """The size of an end in its batch, in bytes. A success is in it twice: as an envelope and as a result."""
    result = 0 if report.success is None else len(report.success.result)
    return 512 + result + sum([300 + len(send.body) for send in report.sends])

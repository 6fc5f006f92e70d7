"""Begins and ends hops in one statement and one commit for a whole batch (hop_sql.py).

The end of one hop and the beginning of the next one come in one request, if a worker has one place; so they share a
statement, which costs the server more than two reports in a large batch.
"""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import asyncpg

from asya_gateway.domain.hop_reports import BeginReport, EndReport, HopBegun, HopEnded
from asya_gateway.storage.replication import settled
from asya_gateway.storage.tasks import beginning, handing_on
from asya_gateway.storage.tasks.creating import Enqueue
from asya_gateway.storage.tasks.descendants import Ended
from asya_gateway.storage.tasks.hop_sql import Hops, statement
from asya_transports.postgres.sessions import session_of

log = logging.getLogger(__name__)

HopReport = BeginReport | EndReport
HopAnswer = HopBegun | HopEnded
LIGHT = 64 * 1024
"""Bytes of an end up to which it is written in the batches of begins, which would wait for larger ones."""

_statement = lru_cache(maxsize=64)(statement)


class HopWriter:
    """The coalescer's flush for begins and ends. Tasks whose logs grew are told: `over` those that have ended, `moved`
    those that go on, `written` the others. `ended` is called with (flow, surface, status, seconds from acceptance to
    end) for the metrics. `lease`: seconds that a claim holds without renewal."""

    def __init__(
        self,
        pool: Callable[[], asyncpg.Pool],
        written: Callable[[Sequence[str]], None],
        moved: Callable[[Sequence[str]], None],
        over: Callable[[Sequence[str]], None],
        ended: Ended,
        enqueue: Enqueue,
        *,
        lease: float,
    ) -> None:
        self._pool = pool
        self._written = written
        self._moved = moved
        self._over = over
        self._ended = ended
        self._enqueue = enqueue
        self._lease = lease

    async def flush(self, batch: Sequence[HopReport]) -> Sequence[HopAnswer]:
        """Begin and end the hops of the batch, with at most one report for each task; returns answers in its order."""
        async with session_of(self._pool()) as connection:
            rows = await self.write(connection, batch)
            if any(row["outcome"] == "again" for row in rows):
                await settled(connection)
        return self._told(batch, rows)

    async def write(
        self, connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy, batch: Sequence[HopReport]
    ) -> list[asyncpg.Record]:
        """Write the batch on this connection; returns rows for `_told`."""
        begins = [report for report in batch if isinstance(report, BeginReport)]
        ends = [report for report in batch if isinstance(report, EndReport)]
        prefix = self._enqueue.prefix
        children = handing_on.children_of(ends)
        parts = any(report.parts is not None for report in ends)
        born = bool(children) or parts  # those of parts are stored
        hops = Hops(prefix, bool(begins), bool(ends), parts, born, _is_one(begins, ends))
        arguments: list[Any] = []
        if ends and hops.one:
            arguments += handing_on.row(ends[0], prefix)
        elif ends:
            arguments += handing_on.columns(ends, children, [report.task_id for report in begins], prefix)
        if born:
            arguments += handing_on.announced(children)
        if begins:
            arguments += beginning.row(begins[0]) if hops.one else beginning.columns(begins)
            arguments.append(self._lease)
        return await connection.fetch(_statement(hops), *arguments)

    def _told(self, batch: Sequence[HopReport], rows: Sequence[asyncpg.Record]) -> list[HopAnswer]:
        """Wake readers and the receivers of what was committed; returns answers in the batch's order."""
        ends = [report for report in batch if isinstance(report, EndReport)]
        outcomes: dict[str, str] = {}
        begun: dict[str, asyncpg.Record] = {}
        direct: set[str] = set()
        born, queued = [], []
        for row in rows:
            match row["outcome"]:
                case "begun":
                    begun[row["id"]] = row
                case "born":
                    born.append(row["id"])
                case "queued":
                    queued.append(row)
                case outcome:
                    outcomes[row["id"]] = outcome
                    if row["direct"]:
                        direct.add(row["id"])
                        self._ended(row["flow"], row["surface"], "succeeded", row["took"])
                        log.debug("ended: succeeded", extra={"task_id": row["id"], "flow": row["flow"]})
        # Those of a repeated end too: the process may have died before it rang.
        done = [report for report in ends if outcomes[report.task_id] in ("ended", "again")]
        moved = [task_id for task_id, outcome in outcomes.items() if outcome == "ended" and task_id not in direct]
        over = [task_id for task_id in direct if outcomes[task_id] == "ended"]
        self._over(over)
        self._written([*{report.task_id for report in done}.difference(moved, over), *born])
        self._moved([*moved, *(task_id for task_id, row in begun.items() if row["applied"])])
        if ends:
            self._send_on(ends, outcomes, direct, queued)
        return [
            beginning.answer(begun.get(report.task_id), self._lease)
            if isinstance(report, BeginReport)
            else handing_on.answer(outcomes[report.task_id])
            for report in batch
        ]

    def _send_on(
        self,
        ends: Sequence[EndReport],
        outcomes: dict[str, str],
        direct: set[str],
        queued: Sequence[asyncpg.Record],
    ) -> None:
        """Ring for messages in queues, or hand new envelopes to the dispatcher."""
        if not self._enqueue.in_database:
            new = [(report, report.task_id in direct) for report in ends if outcomes[report.task_id] == "ended"]
            self._enqueue.hand_over(handing_on.entries(new, queued))
            return
        again = [report for report in ends if outcomes[report.task_id] == "again"]
        actors = {row["actor"] for row in queued}.union(send.actor for report in again for send in report.sends)
        if actors:
            self._enqueue.ring(actors)


def _is_one(begins: Sequence[BeginReport], ends: Sequence[EndReport]) -> bool:
    """Whether there is at most one begin, and at most one end, of one envelope."""
    if len(begins) > 1 or len(ends) > 1:
        return False
    return not ends or (len(ends[0].sends) == 1 and is_light(ends[0]))


def is_light(report: EndReport) -> bool:
    """Whether the end has no children, no parts, and few bytes."""
    return (
        report.parts is None
        and not any(send.child is not None for send in report.sends)
        and handing_on.end_size(report) <= LIGHT
    )


def hop_size(report: HopReport) -> int:
    """The size of a report in its batch, in bytes."""
    return beginning.begin_size(report) if isinstance(report, BeginReport) else handing_on.end_size(report)


def hop_rows(report: HopReport) -> int:
    """What a report counts for in its batch."""
    return 1 if isinstance(report, BeginReport) else report.rows

"""The ends of hops as arguments of the statement that takes them (hop_sql.py), and its answers: log, claim, children,
the envelopes that follow, the task's success and, where the queues are in the same database, the acknowledgement of the
message."""

import logging
from collections.abc import Sequence
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
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE, SMALL_BATCH

log = logging.getLogger(__name__)

KEPT = 256
"""Longest message of an entry that is kept in a cache."""
Children = Sequence[tuple[str, ChildAnnouncement]]
"""Children, each with the number of its report from 1."""


def entries(ended: Sequence[tuple[EndReport, bool]], queued: Sequence[asyncpg.Record]) -> list[OutboxEntry]:
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


def answer(outcome: str) -> HopEnded:
    """The answer to an end."""
    match outcome:
        case "ended" | "again":
            return HopEnded(EndOutcome.ENDED)
        case "refused":
            return HopEnded(EndOutcome.REFUSED)
        case reason:
            return HopEnded(EndOutcome.YOURS, Yours(reason))


def children_of(batch: Sequence[EndReport]) -> Children:
    """The children of the batch."""
    sends = ((str(n), send) for n, report in enumerate(batch, 1) for send in report.sends)
    return [(n, send.child) for n, send in sends if send.child is not None]


def columns(
    batch: Sequence[EndReport], children: Children, beside: Sequence[str], prefix: str | None
) -> tuple[Any, ...]:
    """The first arguments for many ends. `beside`: the ids of further tasks that are locked with theirs. `prefix`: of
    the queues' names in this database."""
    sends = [(str(n), report, send) for n, report in enumerate(batch, 1) for send in report.sends]
    ids = [*(report.task_id for report in batch), *beside]
    family = {each for _, child in children for each in (child.task_id, child.parent_id)}
    found = (
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
        HEARD_WITHIN,
    )
    if prefix is None:
        return *found, OUTBOX_LEASE
    return *found, _joined(sorted({prefix + send.actor for _, _, send in sends}))


def row(report: EndReport, prefix: str | None) -> tuple[Any, ...]:
    """The arguments of one end with one envelope."""
    route, said, success, ack = report.route, report.log, report.success, report.ack
    [send] = report.sends
    message, receipt = (None, None) if ack is None else (ack.message, ack.receipt)
    succeeds = success is not None
    return (
        report.task_id,
        report.claim.hop,
        report.claim.claimant,
        None if route.says_nothing else route.to_json(),
        len(route.prev),
        report.progress,
        None if said is None else storable(said.message),
        route.curr or None,
        None if said is None else _entry_of(report, said),
        report.incarnation,
        message,
        receipt,
        report.unroutable.seconds,
        report.unroutable.sink,
        report.unroutable.sump,
        report.parts,
        success.result if success is not None else None,
        send.actor if succeeds else None,
        success.actor if success is not None else None,
        send.actor,
        send.task_id,
        succeeds,
        send.body,
        HEARD_WITHIN,
        OUTBOX_LEASE if prefix is None else prefix + send.actor,
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


def announced(children: Children) -> tuple[str, ...]:
    """The arguments for children."""
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
    return NULL if report.log is None else _entry_of(report, report.log)


def _entry_of(report: EndReport, said: HopLog) -> str:
    kept = report.route.is_short and len(said.message or "") < KEPT
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

"""The beginnings of hops as arguments of the statement that takes them (hop_sql.py), and its answers: check, claim, and
the reports `received` and `processing`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from asya_crds.envelope import Route
from asya_crds.hop_reports import BeginAction, processing_message, received_message
from asya_crds.status import HopState
from asya_gateway.domain.hop_reports import BeginReport, HopBegun
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.storage.columns import NULL, joined


def answer(row: Any, lease: float) -> HopBegun:
    """The answer to a begin: the row that the statement returned for it, if it knows the task. `lease`: seconds that a
    claim holds without renewal."""
    if row is None:
        return HopBegun(BeginAction.GO, known=False, lease=lease)
    return HopBegun(BeginAction(row["action"]), frames=row["frames"], lease=lease, remaining=row["remaining"])


def columns(batch: Sequence[BeginReport]) -> tuple[str, ...]:
    """The arguments of many begins: hop_sql.BEGINS."""
    routes = [report.route for report in batch]
    claims = [report.claim for report in batch]
    # None of these texts has a control character: names and JSON.
    return (
        joined([report.task_id for report in batch]),
        joined([NULL if route.says_nothing else route.to_json() for route in routes]),
        joined([str(len(route.prev)) for route in routes]),
        joined([repr(report.received_progress) for report in batch]),
        joined([repr(report.processing_progress) for report in batch]),
        joined([route.curr or NULL for route in routes]),
        joined([processing_message(route.curr) for route in routes]),
        joined([_entry(_received, report.route, report.message_size_kb) for report in batch]),
        joined([_entry(_processing, route) for route in routes]),
        joined([str(report.received_key) for report in batch]),
        joined([str(report.processing_key) for report in batch]),
        joined([NULL if report.incarnation is None else str(report.incarnation) for report in batch]),
        joined([claim.hop for claim in claims]),
        joined([str(claim.attempt) for claim in claims]),
        joined([claim.claimant for claim in claims]),
    )


def row(report: BeginReport) -> tuple[Any, ...]:
    """The arguments of one begin."""
    route, claim = report.route, report.claim
    return (
        report.task_id,
        None if route.says_nothing else route.to_json(),
        len(route.prev),
        report.received_progress,
        report.processing_progress,
        route.curr or None,
        processing_message(route.curr),
        _entry(_received, route, report.message_size_kb),
        _entry(_processing, route),
        report.received_key,
        report.processing_key,
        report.incarnation,
        claim.hop,
        claim.attempt,
        claim.claimant,
    )


def _entry(made: Any, route: Route, *said: Any) -> str:
    """The entry from its cache; one with a long route is not kept."""
    text: str = (made if route.is_short else made.__wrapped__)(route, *said)
    return text


@lru_cache(maxsize=4096)
def _received(route: Route, size_kb: float | None) -> str:
    """Cached, because the tasks of a flow take the same route, and many are of one size."""
    return ProgressEntry(
        message=received_message(size_kb),
        route=None if route.says_nothing else route,
        state=HopState.RECEIVED.value,
        message_size_kb=size_kb,
    ).to_json()


@lru_cache(maxsize=1024)
def _processing(route: Route) -> str:
    return ProgressEntry(
        message=processing_message(route.curr),
        route=None if route.says_nothing else route,
        state=HopState.PROCESSING.value,
    ).to_json()


def begin_size(report: BeginReport) -> int:
    """The size of a begin in its batch, in bytes."""
    return 1024 + 3 * (sum(map(len, report.route.prev)) + sum(map(len, report.route.next)))

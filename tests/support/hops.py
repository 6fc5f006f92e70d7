"""Reports of hops that travel together, for tests of the storage."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from asya_crds.envelope import Route
from asya_crds.status import HopState
from asya_gateway.domain.hop_reports import Ack, BeginReport, EndReport, HopLog, Send, UnroutableRule
from asya_gateway.domain.progress import progress_percent, report_key
from asya_gateway.domain.reports import ChildAnnouncement, Claim
from asya_transports.postgres import statements
from tests.support.storage import ROUTE, Running

ME, OTHER = "me", "other"


def begin(
    task_id: str, claimant: str = ME, route: Route = ROUTE, *, attempt: int = 1, hop: str | None = None, **changes: Any
) -> BeginReport:
    claim = Claim(str(route.hop) if hop is None else hop, attempt, claimant)
    values: dict[str, Any] = {
        "task_id": task_id,
        "claim": claim,
        "route": route,
        "received_key": report_key(claim, HopState.RECEIVED),
        "processing_key": report_key(claim, HopState.PROCESSING),
        "received_progress": progress_percent(route, HopState.RECEIVED),
        "processing_progress": progress_percent(route, HopState.PROCESSING),
        "message_size_kb": 0.5,
    }
    return BeginReport(**(values | changes))


UNROUTABLE = UnroutableRule(30.0, "x-sink", "x-sump")
LOG = HopLog("Completed processing in 3ms", 3)


def end(
    task_id: str, *sends: Send, claimant: str = ME, route: Route = ROUTE, hop: str | None = None, **changes: Any
) -> EndReport:
    """An end that hands on these envelopes, or else one to `second`."""
    values: dict[str, Any] = {
        "task_id": task_id,
        "claim": Claim(str(route.hop) if hop is None else hop, 1, claimant),
        "route": route,
        "progress": progress_percent(route, HopState.COMPLETED),
        "sends": sends or (send(task_id),),
        "unroutable": UNROUTABLE,
        "log": LOG,
    }
    return EndReport(**(values | changes))


def send(task_id: str, actor: str = "second", parent: str | None = None) -> Send:
    """An envelope; of a child, if there is a `parent`."""
    route = Route(("first",), actor)
    child = None if parent is None else ChildAnnouncement(task_id, parent, route, ends_itself=True)
    return Send(actor, task_id, f'{{"id":"{task_id}"}}', child)


async def declare(running: Running, *actors: str) -> None:
    for actor in actors:
        await running.storage.database.execute(statements.DECLARE, f"asya-default-{actor}", "default", actor, 5)


async def delivered(running: Running, task_id: str | None = None, **changes: Any) -> tuple[str, Ack]:
    """A new task whose first message was taken."""
    task_id = task_id or uuid4().hex
    await running.create(task_id, envelope=f'{{"id":"{task_id}"}}', **changes)
    return task_id, await taken(running, "first")


async def taken(running: Running, actor: str) -> Ack:
    """Take the oldest message of an actor's queue."""
    lease = timedelta(seconds=15)
    row = await running.storage.database.fetchrow(
        statements.TAKE, f"asya-default-{actor}", 1, lease, 5, "dlq", actor, True
    )
    assert row is not None
    return Ack(row["id"], str(row["receipt"]))


async def queues(running: Running) -> Sequence[tuple[str, str]]:
    """The messages: the actors with the ids in their bodies."""
    rows = await running.storage.database.fetch(
        "SELECT queue, convert_from(body, 'UTF8')::json ->> 'id' AS id FROM queue_messages ORDER BY queue_messages.id"
    )
    return [(row["queue"].removeprefix("asya-default-"), row["id"]) for row in rows]


async def log_of(running: Running, task_id: str) -> Sequence[tuple[Any, ...]]:
    """The log's entries without their times."""
    rows = await running.storage.database.fetch(
        "SELECT seq, kind, status, progress, detail::text FROM task_updates WHERE task_id = $1 ORDER BY seq", task_id
    )
    return [tuple(row.values()) for row in rows]


async def claim_of(running: Running, task_id: str, hop: str = "0") -> tuple[Any, ...] | None:
    """The hop's (claimant, attempt, state), if it was claimed."""
    row = await running.storage.database.fetchrow(
        "SELECT claimant, attempt, state FROM task_hops WHERE task_id = $1 AND hop = $2", task_id, hop
    )
    return None if row is None else tuple(row.values())

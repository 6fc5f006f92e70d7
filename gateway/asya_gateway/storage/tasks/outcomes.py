"""Tasks that have ended or ask a question, read in one statement for all who wait for one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.task import Task, TaskHead
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.guards import ASKING
from asya_gateway.storage.tasks.heads import COLUMNS, columns_of
from asya_gateway.storage.tasks.owners import owner_parameter
from asya_gateway.storage.tasks.rows import RETRY_OF, error_of, small_bodies

_OUTCOMES = f"""
SELECT f.n, {COLUMNS}, b.payload, b.result, b.error, b.left_out,
       {RETRY_OF},
       t.finished_at IS NOT NULL AS ended, t.finished_at IS NOT NULL OR t.status {ASKING} AS reached
FROM unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[]) WITH ORDINALITY AS f(id, owner, payload, known, n)
JOIN tasks t ON t.id = f.id AND (f.owner IS NULL OR t.owner = f.owner)
CROSS JOIN LATERAL (
    {small_bodies(("payload", "result", "error"), "kind IN ('result', 'error') OR kind = 'payload' AND f.payload")}
) b
WHERE t.id = ANY ($1) AND (NOT f.known OR t.finished_at IS NOT NULL OR t.status {ASKING})
"""


class Awaited(NamedTuple):
    """A task that somebody waits for. `payload`: it is read with its payload. `known`: it was found before."""

    task_id: str
    owner: OwnerScope
    payload: bool
    known: bool


class NotFound:
    """The owner has no such task."""


Outcome = Task | TaskHead | NotFound | None
"""A task that has ended; or, of one whose bodies are too large to be read for many at a time or that asks a question,
only the row; or None for one that goes on."""


async def outcomes(database: Database, asked: Sequence[Awaited]) -> list[Outcome]:
    """The outcome of each, in their order."""
    ids, owners, payloads, known = zip(*asked, strict=True)
    rows = await database.fetch(_OUTCOMES, ids, [*map(owner_parameter, owners)], payloads, known)
    found: list[Outcome] = [None if each.known else NotFound() for each in asked]
    for row in rows:
        found[row["n"] - 1] = _outcome(row) if row["reached"] else None
    return found


def _outcome(row: Any) -> Task | TaskHead:
    if not row["ended"] or row["left_out"]:
        return TaskHead(**columns_of(row))
    return Task(
        **columns_of(row),
        payload=row["payload"],
        result=row["result"],
        error=error_of(row),
        retry_of=row["retry_of"],
    )

"""Stores new tasks: row, payload, first update and envelope in one statement for a whole batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from asya_crds.naming import check_actor_name, queue_name
from asya_gateway.domain.log import TASK_CREATED, CreatedEntry
from asya_gateway.domain.ports import NewTask, OutboxEntry
from asya_gateway.storage.columns import NULL, joined, split
from asya_gateway.storage.retrying import acquired
from asya_transports.postgres.enqueue import ENQUEUE_COLUMNS, ENQUEUE_TABLE

OUTBOX_LEASE = 5.0
"""Seconds that a fresh outbox row belongs to the process that accepted it."""

TASK_ARRAYS = (
    f"{split(1)}, {split(2)}, $3::text[], {split(4)}, {split(5, 'json')}, {split(6)}, {split(7)}, "
    f"{split(8, 'float8')}, {split(9, 'json')}, {split(10)}"
)
"""The fields of NewTask, one array for each. task_columns creates the arguments."""
TASK_FIELDS = "id, flow, owner, surface, route, actor, context_id, timeout, payload, envelope"

_INCOMING = f"""
WITH incoming AS (
    SELECT *, now() AS created_at FROM unnest({TASK_ARRAYS}) AS r({TASK_FIELDS})
    ORDER BY id
), """

TASKS = """created AS (
    INSERT INTO tasks (id, flow, owner, surface, status, route, context_id, created_at, updated_at, deadline_at)
    SELECT id, flow, owner, surface, 'pending', route, context_id, created_at, created_at,
           created_at + timeout * interval '1 second' FROM {source}
    {unless_known} RETURNING id
), """

# The entry is the same for every task, so it is not an argument. (The JSON text contains no apostrophe.)
_CREATED = CreatedEntry(message=TASK_CREATED).to_json()

BODIES = """bodies AS (
    INSERT INTO task_bodies (task_id, kind, body) SELECT id, 'payload', payload FROM {fresh}
), logged AS (
    INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT id, 1, 'created', 'pending', 0, '{created}', created_at FROM {fresh}
), """.replace("{created}", _CREATED)

_INTO_OUTBOX = """queued AS (
    INSERT INTO outbox (task_id, actor, body, not_before, created_at)
    SELECT id, actor, envelope, now() + {lease} * interval '1 second', created_at FROM {fresh}
    RETURNING id AS outbox_id, task_id
)
SELECT outbox_id, task_id FROM queued
"""


_INTO_QUEUE = f"""queued AS (
    INSERT INTO {ENQUEUE_TABLE} ({", ".join(ENQUEUE_COLUMNS)})
    SELECT '{{prefix}}' || actor, convert_to(envelope, 'UTF8') FROM {{fresh}}
)
SELECT 0::bigint AS outbox_id, id AS task_id FROM {{fresh}}
"""

Committed = Callable[[Sequence[OutboxEntry]], None]


@dataclass(frozen=True, slots=True)
class Enqueue:
    """SQL that inserts a batch's envelopes into the outbox or the queue, as the last CTE of the statement.

    `cte` reads (id, actor, envelope, created_at) from `{fresh}`; `committed` is called after the commit. `lease`:
    whether the statement takes the outbox lease as its last argument `{lease}`.
    """

    cte: str
    lease: bool
    committed: Committed

    def of(self, fresh: str, *, argument: int) -> str:
        """The CTE, reading from `fresh`; `argument` is the number of the statement's last argument."""
        return self.cte.replace("{fresh}", fresh).replace("{lease}", f"${argument}")

    @property
    def arguments(self) -> list[float]:
        """The additional arguments of the statement."""
        return [OUTBOX_LEASE] if self.lease else []


def into_outbox(committed: Committed) -> Enqueue:
    """Envelopes go to the outbox, and to this process's dispatcher after the commit."""
    return Enqueue(_INTO_OUTBOX, True, committed)


def into_queue(namespace: str, committed: Committed) -> Enqueue:
    """Envelopes go directly into the `postgres` transport's table, in the task's own transaction; `committed` rings its
    bell. Raises ValueError for a namespace that is not a DNS label, because it becomes part of the SQL."""
    prefix = queue_name(check_actor_name(namespace), "")
    return Enqueue(_INTO_QUEUE.replace("{prefix}", prefix), False, committed)


def _statement(enqueue: Enqueue, *, unless_known: bool) -> str:
    """The whole statement. With `unless_known`, existing tasks are skipped: each table's rows are joined with the new
    tasks."""
    fresh = "incoming JOIN created USING (id)" if unless_known else "incoming"
    tasks = TASKS.format(source="incoming", unless_known="ON CONFLICT (id) DO NOTHING" if unless_known else "")
    return _INCOMING + tasks + BODIES.replace("{fresh}", fresh) + enqueue.of(fresh, argument=11)


class TaskCreator:
    """The coalescer's flush for creates."""

    def __init__(self, pool: Callable[[], asyncpg.Pool], enqueue: Enqueue) -> None:
        self._pool = pool
        self._enqueue = enqueue
        self._first = _statement(enqueue, unless_known=False)
        self._again = _statement(enqueue, unless_known=True)

    async def flush(self, batch: Sequence[NewTask]) -> Sequence[None]:
        """Insert the batch. A task that already exists was stored by our earlier attempt and is skipped. If its
        envelope is still in the outbox, it is taken from there when its lease has run out."""
        lease = self._enqueue.arguments
        columns = task_columns(batch)
        async with acquired(self._pool()) as connection:
            try:
                rows = await connection.fetch(self._first, *columns, *lease)
            except asyncpg.UniqueViolationError:
                # Ids are unique, so this is our own earlier attempt, whose answer was lost. (Checking for it every time
                # would cost the server a fifth of its work.)
                rows = await connection.fetch(self._again, *columns, *lease)
        by_id = {new.id: new for new in batch}
        self._enqueue.committed([entry_of(row["outbox_id"], by_id[row["task_id"]]) for row in rows])
        return [None] * len(batch)


def task_columns(batch: Sequence[NewTask]) -> tuple[Any, ...]:
    """The first arguments of a statement with TASK_ARRAYS."""
    ids, flows, owners, surfaces, routes, actors, contexts, timeouts, payloads, envelopes = zip(*batch, strict=True)
    return (
        joined(ids),
        joined(flows),
        owners,
        joined(surfaces),
        joined(routes),
        joined(actors),
        joined([NULL if context is None else context for context in contexts]),
        joined([*map(repr, timeouts)]),
        joined(payloads),
        joined(envelopes),
    )


def entry_of(outbox_id: int, new: NewTask) -> OutboxEntry:
    """The outbox entry of a task that was just stored."""
    return OutboxEntry(outbox_id, new.id, new.actor, new.envelope.encode())


def create_size(new: NewTask) -> int:
    """The size of a create in its batch, in bytes."""
    return len(new.payload) + len(new.envelope) + 512

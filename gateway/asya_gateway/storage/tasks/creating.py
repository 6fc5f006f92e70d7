"""Stores new tasks: row, payload, first update and envelope in one statement for a whole batch."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import asyncpg

from asya_crds.naming import check_actor_name, queue_name
from asya_gateway.domain.log import TASK_CREATED, CreatedEntry
from asya_gateway.domain.ports import NewTask, OutboxEntry
from asya_gateway.storage.columns import NULL, joined, split
from asya_gateway.storage.replication import settled
from asya_gateway.storage.retrying import acquired
from asya_gateway.storage.tasks.conversing import ARGUMENTS, FIELDS, MESSAGES, ROWS, arrays, conversation_columns
from asya_gateway.storage.tasks.written import INTO_BODIES, INTO_LOG
from asya_transports.postgres.enqueue import ENQUEUE_COLUMNS, ENQUEUE_TABLE

OUTBOX_LEASE = 5.0
"""Seconds that a fresh outbox row belongs to the process that accepted it."""

TASK_ARRAYS = (
    f"{split(1)}, {split(2)}, {split(3)}, {split(4, 'json')}, {split(5)}, {split(6)}, {split(7, 'float8')}, "
    f"coalesce({split(8)}, $11::text[]), coalesce({split(9, 'json')}, $12::json[]), "
    f"coalesce({split(10)}, $13::text[]), {split(14)}, {split(15)}"
)
"""The fields of NewTask, one array for each. task_columns creates the arguments."""
TASK_ARGUMENTS = 15
TASK_FIELDS = "id, flow, surface, route, actor, context_id, timeout, owner, payload, envelope, via, source"
SMALL_BATCH = 256 * 1024
"""Payloads and envelopes of at most this many characters together travel as texts, too. More of them travel as arrays,
which takes one copy fewer here and one fewer in the server."""

_INCOMING = f"""
WITH incoming AS (
    SELECT *, now() AS created_at FROM unnest({TASK_ARRAYS}{{more}}) AS r({TASK_FIELDS}{{fields}})
    ORDER BY id
), """

TASKS = """created AS (
    INSERT INTO tasks (id, flow, owner, surface, status, route, context_id, created_at, updated_at, deadline_at,
                       via, source)
    SELECT id, flow, owner, surface, 'pending', route, context_id, created_at, created_at,
           created_at + timeout * interval '1 second', via, source FROM {source}
    {unless_known} RETURNING id
), """

# The entry is the same for every task, so it is not an argument. (The JSON text contains no apostrophe.)
_CREATED = CreatedEntry(message=TASK_CREATED).to_json()

BODIES = (
    """bodies AS (
    {into_bodies} SELECT id, 'payload', payload FROM {fresh}
), logged AS (
    {into_log}
    SELECT id, 1, 'created', 'pending', 0, '{created}', created_at FROM {fresh}
), """.replace("{into_bodies}", INTO_BODIES)
    .replace("{into_log}", INTO_LOG)
    .replace("{created}", _CREATED)
)

_INTO_OUTBOX = """queued AS (
    INSERT INTO outbox (task_id, actor, body, not_before, created_at)
    SELECT id, actor, envelope, now() + {lease} * interval '1 second', created_at FROM {fresh}
    RETURNING id AS outbox_id, task_id
)
"""
_FROM_OUTBOX = "SELECT outbox_id, task_id, now() AS created_at FROM queued"

_INTO_QUEUE = f"""queued AS (
    INSERT INTO {ENQUEUE_TABLE} ({", ".join(ENQUEUE_COLUMNS)})
    SELECT '{{prefix}}' || actor, convert_to(envelope, 'UTF8') FROM {{fresh}}
)
"""
_FROM_QUEUE = "SELECT 0::bigint AS outbox_id, id AS task_id, now() AS created_at FROM {fresh}"
_ONE_ROW = "SELECT 0::bigint AS outbox_id, '' AS task_id, now() AS created_at"

_TIMES = "SELECT id, created_at FROM tasks WHERE id = ANY ($1)"

HandOver = Callable[[Sequence[OutboxEntry]], None]
Ring = Callable[[Iterable[str]], None]


class Enqueued(Protocol):
    """An envelope of a statement, and the task it belongs to."""

    @property
    def id(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def envelope(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Enqueue:
    """SQL that inserts a batch's envelopes into the outbox or the queue, as the last CTE of the statement and what it
    returns: (outbox_id, task_id, created_at).

    `cte` reads (id, actor, envelope, created_at) from `{fresh}`. After the commit `hand_over` gets the outbox's new
    entries, or `ring` the names of the actors that have messages in the database's own queues. `prefix`: of the queues'
    names, if they are in this database; else None.
    """

    cte: str
    returns: str
    hand_over: HandOver = lambda _entries: None
    ring: Ring = lambda _actors: None
    prefix: str | None = None

    @property
    def in_database(self) -> bool:
        """Whether the envelopes are in their queues when the statement is committed."""
        return self.prefix is not None

    def of(self, fresh: str, *, argument: int, tells: bool = True) -> str:
        """The CTE, reading from `fresh`; `argument` is the number of the statement's last argument. Of rows that nobody
        needs, because each envelope is in its queue, there is only one if not `tells`."""
        returns = self.returns if tells or not self.in_database else _ONE_ROW
        return (self.cte + returns).replace("{fresh}", fresh).replace("{lease}", f"${argument}")

    @property
    def arguments(self) -> list[float]:
        """The additional arguments of the statement."""
        return [] if self.in_database else [OUTBOX_LEASE]

    def committed(self, envelopes: Iterable[Enqueued], rows: Sequence[asyncpg.Record]) -> None:
        """Pass on what was committed: `rows` were returned for some of the envelopes."""
        if self.in_database:
            self.ring({each.actor for each in envelopes})
            return
        by_id = {each.id: each for each in envelopes}
        found = [(row["outbox_id"], by_id[row["task_id"]]) for row in rows]
        self.hand_over([OutboxEntry(number, each.id, each.actor, each.envelope.encode()) for number, each in found])


def into_outbox(hand_over: HandOver) -> Enqueue:
    """Envelopes go to the outbox, and to this process's dispatcher after the commit."""
    return Enqueue(_INTO_OUTBOX, _FROM_OUTBOX, hand_over)


def into_queue(namespace: str, ring: Ring) -> Enqueue:
    """Envelopes go directly into the `postgres` transport's table, in the task's own transaction; `ring` rings its
    bell. Raises ValueError for a namespace that is not a DNS label, because it becomes part of the SQL."""
    prefix = queue_name(check_actor_name(namespace), "")
    return Enqueue(_INTO_QUEUE.replace("{prefix}", prefix), _FROM_QUEUE, ring=ring, prefix=prefix)


def _statement(enqueue: Enqueue, *, unless_known: bool, conversed: bool) -> str:
    """The whole statement. With `unless_known`, existing tasks are skipped: each table's rows are joined with the new
    tasks. With `conversed`, some tasks have conversations."""
    fresh = "incoming JOIN created USING (id)" if unless_known else "incoming"
    tasks = TASKS.format(source="incoming", unless_known="ON CONFLICT (id) DO NOTHING" if unless_known else "")
    if not conversed:
        incoming, beside, argument = _INCOMING.format(more="", fields=""), "", TASK_ARGUMENTS + 1
    else:
        incoming = _INCOMING.format(more=f", {arrays(TASK_ARGUMENTS + 1)}", fields=f", {FIELDS}")
        beside, argument = ROWS + MESSAGES, TASK_ARGUMENTS + ARGUMENTS + 1
    queued = enqueue.of(fresh, argument=argument, tells=False)
    return incoming + tasks + (BODIES + beside).replace("{fresh}", fresh) + queued


class TaskCreator:
    """The coalescer's flush for creates. `creating` is called before each batch is written."""

    def __init__(
        self, pool: Callable[[], asyncpg.Pool], enqueue: Enqueue, creating: Callable[[Sequence[NewTask]], None]
    ) -> None:
        self._pool = pool
        self._enqueue = enqueue
        self._creating = creating
        self._first, self._again = (
            {conversed: _statement(enqueue, unless_known=known, conversed=conversed) for conversed in (False, True)}
            for known in (False, True)
        )

    async def flush(self, batch: Sequence[NewTask]) -> Sequence[datetime]:
        """Insert the batch; returns the time of each task's rows. A task that already exists was stored by our earlier
        attempt and is skipped. If its envelope is still in the outbox, it is taken from there when its lease has run
        out."""
        conversed = any(each.conversation is not None for each in batch)
        columns = task_columns(batch) + (conversation_columns(batch) if conversed else ())
        arguments = (*columns, *self._enqueue.arguments)
        self._creating(batch)
        async with acquired(self._pool()) as connection:
            try:
                rows = await connection.fetch(self._first[conversed], *arguments)
            except asyncpg.UniqueViolationError:
                # Ids are unique, so this is our own earlier attempt, whose answer was lost. (Checking for it every time
                # would cost the server a fifth of its work.)
                rows = await connection.fetch(self._again[conversed], *arguments)
                await settled(connection)
                found = await connection.fetch(_TIMES, [each.id for each in batch])
                times = {row["id"]: row["created_at"] for row in found}
            else:
                times = dict.fromkeys([each.id for each in batch], rows[0]["created_at"])
        self._enqueue.committed(batch, rows)
        return [times[each.id] for each in batch]


def task_columns(batch: Sequence[NewTask]) -> tuple[Any, ...]:
    """The first arguments of a statement with TASK_ARRAYS."""
    (
        ids, flows, owners, surfaces, routes, actors, contexts, timeouts, payloads, envelopes, vias, sources, _, _
    ) = zip(*batch, strict=True)  # fmt: skip
    return (
        joined(ids),
        joined(flows),
        joined(surfaces),
        joined(routes),
        joined(actors),
        _joined(contexts),
        joined([*map(repr, timeouts)]),
        *_texts_or_arrays(owners, payloads, envelopes),
        _joined(vias),
        _joined(sources),
    )


def _joined(values: Sequence[str | None]) -> str:
    return joined([NULL if value is None else value for value in values])


def _texts_or_arrays(owners: Sequence[str], payloads: Sequence[str], envelopes: Sequence[str]) -> tuple[Any, ...]:
    """Owners are named elsewhere and may contain any character, so some of them do not fit into a text."""
    if sum(map(len, payloads)) + sum(map(len, envelopes)) <= SMALL_BATCH:
        with contextlib.suppress(ValueError):
            return joined(owners, nulls=False), joined(payloads), joined(envelopes), None, None, None
    return None, None, None, owners, payloads, envelopes


def create_size(new: NewTask) -> int:
    """The size of a create in its batch, in bytes."""
    said = 0 if new.conversation is None else len(new.conversation.message) + 256
    aimed = 0 if new.destination is None else len(new.destination.url) + len(new.destination.sealed or "") + 512
    return len(new.payload) + len(new.envelope) + 512 + said + aimed

"""Stores calls that have a key, count against a cap, or say where their task's changes are delivered, with a statement
separate from that of plain calls.

A key is taken by inserting its row, always in the order (owner, key), so that two batches cannot deadlock. A batch that
finds a key taken waits for the other's commit, inserts nothing, and reads the winner's task in a second statement,
because a row committed meanwhile is invisible to the first.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.ports import NewTask, Terms
from asya_gateway.storage.replication import settled
from asya_gateway.storage.retrying import acquired
from asya_gateway.storage.tasks import aiming
from asya_gateway.storage.tasks.conversing import (
    ARGUMENTS,
    FIELDS,
    MESSAGES,
    NAMED_ROWS,
    NAMES_TAKEN,
    arrays,
    conversation_columns,
)
from asya_gateway.storage.tasks.creating import (
    BODIES,
    TASK_ARGUMENTS,
    TASK_ARRAYS,
    TASK_FIELDS,
    TASKS,
    Enqueue,
    create_size,
    task_columns,
)
from asya_gateway.storage.tasks.written import open_up_to_cap

TRIES = 5
"""How often a key is tried if its task was just removed."""

_FRESH = "fresh JOIN created USING (id)"

_MAY = "(key IS NULL OR id IN (SELECT task_id FROM taken))"
_TERMS = 3
"""Arguments that are no fields of the task: key, digest, retry_of."""


def _statement(enqueue: Enqueue, *, conversed: bool, aimed: bool) -> str:
    """The whole statement. With `conversed`, some tasks have conversations, and with `aimed` destinations."""
    first = TASK_ARGUMENTS + 1
    argument = first + _TERMS
    more, fields, named, and_named, beside = "", "", "", "", ""
    if conversed:
        more, fields = f", {arrays(argument)}", f", {FIELDS}"
        named, beside = NAMED_ROWS.format(where=_MAY), MESSAGES
        and_named = " AND (dialect IS NULL OR id IN (SELECT task_id FROM conversed))"
        argument += ARGUMENTS
    if aimed:
        more, fields = f"{more}, {aiming.arrays(argument)}", f"{fields}, {aiming.FIELDS}"
        beside += aiming.ROWS
        argument += aiming.ARGUMENTS
    incoming = f"""
WITH incoming AS (
    SELECT *, now() AS created_at FROM unnest(
        {TASK_ARRAYS}, ${first}::text[], ${first + 1}::bytea[], ${first + 2}::text[]{more}
    )
    AS r({TASK_FIELDS}, key, digest, retry_of{fields})
), taken AS (
    INSERT INTO call_keys (owner, key, task_id, digest)
    SELECT owner, key, id, digest FROM incoming WHERE key IS NOT NULL ORDER BY owner COLLATE "C", key COLLATE "C"
    ON CONFLICT (owner, key) DO NOTHING
    RETURNING task_id
), {named}fresh AS (
    SELECT * FROM incoming WHERE {_MAY}{and_named} ORDER BY id
), """
    tasks = TASKS.format(source="fresh", unless_known="ON CONFLICT (id) DO NOTHING")
    retried = f"""retried AS (
    INSERT INTO task_retries (task_id, retry_of) SELECT id, retry_of FROM {_FRESH} WHERE retry_of IS NOT NULL
), """
    queued = enqueue.of(_FRESH, argument=argument)
    return incoming + tasks + retried + (BODIES + beside).replace("{fresh}", _FRESH) + queued


_TAKEN = """
SELECT k.owner, k.key, k.task_id, k.digest, EXISTS (SELECT FROM tasks t WHERE t.id = k.task_id) AS living
FROM unnest($1::text[], $2::text[]) AS r(owner, key) JOIN call_keys k ON k.owner = r.owner AND k.key = r.key
"""

# Removes keys whose task was removed by an older version, which does not know keys.
_FORGET = """
WITH dead AS MATERIALIZED (
    SELECT k.owner, k.key FROM unnest($1::text[], $2::text[]) AS r(owner, key)
    JOIN call_keys k ON k.owner = r.owner AND k.key = r.key
    WHERE NOT EXISTS (SELECT FROM tasks t WHERE t.id = k.task_id)
    ORDER BY k.owner, k.key FOR UPDATE OF k
)
DELETE FROM call_keys k USING dead d WHERE k.owner = d.owner AND k.key = d.key
"""

# A task that is already stored needs no admission: it is found by its key, or by its id if our earlier answer was lost.
_STORED = """
SELECT r.id FROM unnest($1::text[], $2::text[], $3::text[]) AS r(id, owner, key)
WHERE EXISTS (SELECT FROM tasks t WHERE t.id = r.id)
   OR EXISTS (SELECT FROM call_keys k WHERE k.owner = r.owner AND k.key = r.key)
"""

# Children count with the call that created them. Each count stops at its cap. The second one is in the order of the
# index of open tasks, or the planner might search millions of finished ones.
_OPEN_OF_OWNERS = open_up_to_cap("""
    SELECT FROM tasks t WHERE t.owner = o.name AND t.finished_at IS NULL AND t.parent_id IS NULL
    ORDER BY t.created_at DESC, t.id DESC""")
_OPEN_OF_FLOWS = open_up_to_cap("""
    SELECT FROM tasks t WHERE t.flow = o.name AND t.finished_at IS NULL AND t.parent_id IS NULL
    ORDER BY t.owner, t.created_at DESC, t.id DESC""")


class Applicant(NamedTuple):
    """A call to be stored on these terms."""

    new: NewTask
    terms: Terms

    @property
    def order(self) -> tuple[str, ...]:
        """The coalescer's key: one write at a time for each idempotency key."""
        return (self.new.id,) if self.terms.key is None else (self.new.owner, self.terms.key)


class Admitted(NamedTuple):
    """The task of a call, stored now or earlier, with the digest of the first request under its key. `created_at` is
    the time of its row if it was stored now."""

    task_id: str
    digest: bytes | None
    created_at: datetime | None = None


class OverCap(NamedTuple):
    """Refused: the number of open tasks of this `owner` or `flow` (`of`) has reached `cap`, or that of the owner's
    `destinations`."""

    of: str
    cap: int


class ClientTaskIdTaken(NamedTuple):
    """Refused: the owner's client calls another task by this `name`."""

    name: str


Verdict = Admitted | OverCap | ClientTaskIdTaken


class Admitter:
    """The coalescer's flush for calls that are not plain."""

    def __init__(self, pool: Callable[[], asyncpg.Pool], enqueue: Enqueue) -> None:
        self._pool = pool
        self._enqueue = enqueue
        self._insert_sql = {
            (conversed, aimed): _statement(enqueue, conversed=conversed, aimed=aimed)
            for conversed in (False, True)
            for aimed in (False, True)
        }

    async def flush(self, batch: Sequence[Applicant]) -> Sequence[Verdict]:
        """Store the calls that may be stored; returns the task of every call."""
        async with acquired(self._pool()) as connection:
            verdicts: dict[str, Verdict] = dict(await self._over_cap(connection, batch))
            left = [each for each in batch if each.new.id not in verdicts]
            for _ in range(TRIES):
                times = await self._insert(connection, left)
                settled_now = await self._settled(connection, left)
                verdicts |= {id: _timed(verdict, times) for id, verdict in settled_now.items()}
                left = [each for each in left if each.new.id not in verdicts]
                if not left:
                    return [verdicts[each.new.id] for each in batch]
        raise Unavailable("the tasks of these keys are being removed")

    async def _over_cap(
        self, connection: asyncpg.pool.PoolConnectionProxy, batch: Sequence[Applicant]
    ) -> Mapping[str, OverCap]:
        aiming_owners = {each.new.owner: aiming.CAP for each in batch if each.new.destination is not None}
        if not aiming_owners and not any(each.terms.capped for each in batch):
            return {}
        rows = await connection.fetch(
            _STORED,
            [each.new.id for each in batch],
            [each.new.owner for each in batch],
            [each.terms.key for each in batch],
        )
        stored = {row["id"] for row in rows}
        asking = [each for each in batch if each.new.id not in stored]
        owners: dict[str, int] = {}
        for each in asking:
            if each.terms.owner_cap is not None:
                # Credentials of one owner may have different roles. Tasks are counted up to the largest cap.
                owners[each.new.owner] = max(each.terms.owner_cap, owners.get(each.new.owner, 0))
        flows = {each.new.flow: each.terms.flow_cap for each in asking if each.terms.flow_cap is not None}
        return over_cap(
            asking,
            await _counted(connection, _OPEN_OF_OWNERS, owners),
            await _counted(connection, _OPEN_OF_FLOWS, flows),
            await _counted(connection, aiming.OPEN_OF_OWNERS, aiming_owners),
        )

    async def _insert(
        self, connection: asyncpg.pool.PoolConnectionProxy, batch: Sequence[Applicant]
    ) -> Mapping[str, datetime]:
        """The times of the tasks that were stored now."""
        if not batch:
            return {}
        new = [each.new for each in batch]
        conversed = any(each.conversation is not None for each in new)
        aimed = any(each.destination is not None for each in new)
        terms = ([each.terms.key for each in batch], [each.terms.digest for each in batch])
        retries = [each.terms.retry_of for each in batch]
        rows = await connection.fetch(
            self._insert_sql[conversed, aimed],
            *task_columns(new),
            *terms,
            retries,
            *(conversation_columns(new) if conversed else ()),
            *(aiming.destination_columns(new) if aimed else ()),
            *self._enqueue.arguments,
        )
        self._enqueue.committed(new, rows)
        if len(rows) < len(batch):
            # Others were stored before.
            await settled(connection)
        return {row["task_id"]: row["created_at"] for row in rows}

    async def _settled(
        self, connection: asyncpg.pool.PoolConnectionProxy, batch: Sequence[Applicant]
    ) -> dict[str, Verdict]:
        """The verdicts so far. A key whose task is gone is removed and has no verdict, unless its call is refused for
        another reason."""
        found: dict[str, Verdict] = {each.new.id: Admitted(each.new.id, None) for each in batch if not each.terms.key}
        found |= await _names_taken(connection, [each.new for each in batch])
        keyed = {(each.new.owner, each.terms.key): each.new.id for each in batch if each.terms.key}
        if not keyed:
            return found
        taken = await _taken(connection, keyed)
        dead = [(row["owner"], row["key"]) for row in taken if not row["living"]]
        if dead:
            await connection.execute(_FORGET, [owner for owner, _ in dead], [key for _, key in dead])
        for row in taken:
            if row["living"]:
                found[keyed[row["owner"], row["key"]]] = Admitted(row["task_id"], row["digest"])
        return found

    async def find(self, owner: str, key: str) -> Admitted | None:
        """The task that a key names."""
        async with acquired(self._pool()) as connection:
            rows = await _taken(connection, [(owner, key)])
            if rows:
                await settled(connection)
        return next((Admitted(row["task_id"], row["digest"]) for row in rows if row["living"]), None)


async def _names_taken(connection: asyncpg.pool.PoolConnectionProxy, batch: Sequence[NewTask]) -> dict[str, Verdict]:
    named = [(each, each.conversation.client_task_id) for each in batch if each.conversation is not None]
    asked = [(each.id, each.owner, name) for each, name in named if name is not None]
    if not asked:
        return {}
    rows = await connection.fetch(NAMES_TAKEN, *map(list, zip(*asked, strict=True)))
    return {row["id"]: ClientTaskIdTaken(row["name"]) for row in rows}


async def _taken(
    connection: asyncpg.pool.PoolConnectionProxy, keys: Iterable[tuple[str, str | None]]
) -> list[asyncpg.Record]:
    keys = list(keys)
    return await connection.fetch(_TAKEN, [owner for owner, _ in keys], [key for _, key in keys])


async def _counted(connection: asyncpg.pool.PoolConnectionProxy, sql: str, caps: Mapping[str, int]) -> Counter[str]:
    if not caps:
        return Counter()
    rows = await connection.fetch(sql, list(caps), list(caps.values()))
    return Counter({row["name"]: row["open"] for row in rows})


def over_cap(
    batch: Sequence[Applicant], of_owners: Counter[str], of_flows: Counter[str], aimed: Counter[str]
) -> dict[str, OverCap]:
    """The calls that reach a cap, by task id, given the numbers of open tasks, and of each owner's destinations that
    wait for something. Calls are judged in the batch's order, and a refused call does not count for the next ones."""
    refused: dict[str, OverCap] = {}
    for new, terms in batch:
        aims = new.destination is not None
        if terms.owner_cap is not None and of_owners[new.owner] >= terms.owner_cap:
            refused[new.id] = OverCap("owner", terms.owner_cap)
        elif terms.flow_cap is not None and of_flows[new.flow] >= terms.flow_cap:
            refused[new.id] = OverCap("flow", terms.flow_cap)
        elif aims and aimed[new.owner] >= aiming.CAP:
            refused[new.id] = OverCap("destinations", aiming.CAP)
        else:
            of_owners[new.owner] += 1
            of_flows[new.flow] += 1
            aimed[new.owner] += aims
    return refused


def _timed(verdict: Verdict, times: Mapping[str, datetime]) -> Verdict:
    """The verdict with the time of a task that was stored now."""
    if not isinstance(verdict, Admitted) or verdict.task_id not in times:
        return verdict
    return verdict._replace(created_at=times[verdict.task_id])


def applicant_size(applicant: Applicant) -> int:
    """The size of a call in its batch, in bytes."""
    return create_size(applicant.new) + len(applicant.terms.key or "")

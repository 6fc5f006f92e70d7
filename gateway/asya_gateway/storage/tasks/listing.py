"""Pages of tasks, newest first. Each statement reads a bounded number of rows.

Each part of a list is read in the order of an index. Conditions on columns outside the index are applied to a bounded
number of rows. (Such columns are an open task's status, which reports change and which therefore must not be indexed,
and the flow of open tasks.) The search then ends at an edge, and the next one continues from there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, repeat
from typing import Any

from asya_crds.status import TERMINAL
from asya_gateway.domain.ports import TaskFilter, TaskPage
from asya_gateway.domain.task import TaskHead
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.heads import COLUMNS, columns_of
from asya_gateway.storage.tasks.owners import owned, owner_parameter

LOOKS = (2_000, 8_000, 40_000)
"""Rows that a page's statements read in turn, for each part, while the page is not full. Frequent matches are found by
the first."""

_OPEN = "t.finished_at IS NULL"
_OPEN_OF_OWNER = (f"{_OPEN} AND t.parent_id IS NULL", f"{_OPEN} AND t.parent_id IS NOT NULL")
"""Calls and children, each in an index."""
_ENDED_AS = {status: f"t.ended_as = '{status.value}'" for status in TERMINAL}
_ENDED_UNMARKED = "t.finished_at IS NOT NULL AND t.ended_as IS NULL"
"""Tasks ended by a process of an older version. Their status says how they ended."""
_ANY = "true"
_FAMILY = """($1::text IS NULL OR $1 = (
    SELECT child.owner FROM tasks child WHERE child.parent_id = $5 ORDER BY child.created_at DESC, child.id DESC LIMIT 1
))"""
"""All children have their parent's owner, so one child shows whose they are: no caller makes us read another owner's
fan-out."""

# The owner is checked wherever rows are read, so that nothing reveals how many tasks others have.
_OF_WHOM = owned(1, "t.owner")
_SIEVES = {
    "status": "($2::text IS NULL OR t.status = $2)",
    "flow": "($3::text IS NULL OR t.flow = $3)",
    "context_id": "($4::text IS NULL OR t.context_id = $4)",
    "parent_id": "($5::text IS NULL OR t.parent_id = $5)",
    "flows": "($10::text[] IS NULL OR t.flow = ANY ($10))",
}
_UNUSED = """($2::text IS NULL OR $3::text IS NULL OR $4::text IS NULL OR $5::text IS NULL OR $10::text[] IS NULL
    OR true)"""
"""Gives each parameter its type in every statement."""
_BETWEEN = """($6::timestamptz IS NULL OR (t.created_at, t.id) < ($6, $7))
    AND ($8::timestamptz IS NULL OR (t.created_at, t.id) >= ($8, $9))"""
_ORDER = "ORDER BY created_at DESC, id DESC"

PAGE_BYTES = 1024 * 1024
"""Bytes of routes and messages beyond which a page ends, after at least one task. A usual page of 200 has a tenth; a
route may have a thousand actors."""
_BY_SIZE = f"""
SELECT * FROM (
    SELECT *, count(*) OVER () AS of, row_number() OVER ({_ORDER}) AS number,
           sum(octet_length(route) + coalesce(octet_length(message), 0)) OVER ({_ORDER}) AS bytes
    FROM ({{listing}}) page
) sized WHERE number = 1 OR bytes <= {PAGE_BYTES} {_ORDER}
"""

Edge = tuple[datetime, str]


async def page(database: Database, query: TaskFilter) -> TaskPage:
    """The page. It may end before it is full; `reached` then says where to continue."""
    sieved = any(_sieved(query, state) for state in _states(query))
    if query.whole or query.skip:
        return TaskPage(await (_whole(database, query) if sieved else _read(database, query, None)), None)
    found: list[TaskHead] = []
    after = query.after
    for look in LOOKS:
        part = replace(query, after=after, limit=query.limit - len(found))
        edge = await _edge(database, part, look) if sieved else None
        rows, is_cut = await _read_by_size(database, part, edge)
        found += rows
        if is_cut:
            return TaskPage(found, (found[-1].created_at, found[-1].id))
        after = edge
        if edge is None or len(found) >= query.limit:
            break
    return TaskPage(found, after if len(found) < query.limit else None)


async def _whole(database: Database, query: TaskFilter) -> list[TaskHead]:
    """The page, full if there are enough tasks, however many must be searched, in bounded steps."""
    found: list[TaskHead] = []
    after, skip = query.after, query.skip
    for look in _looks():
        part = replace(query, after=after, skip=skip, limit=query.limit - len(found))
        edge = await _edge(database, part, look)
        rows = await _read(database, part, edge)
        found += rows
        if edge is None or len(found) >= query.limit:
            break
        if skip:
            # Skipped tasks are not read, so they are counted if no row came after them.
            skip = 0 if rows else skip - await _count(database, part, edge, skip)
        after = edge
    return found


async def count(database: Database, query: TaskFilter) -> int:
    """The number of tasks up to the end of a page."""
    most, found, after = query.skip + query.limit, 0, query.after
    sieved = any(_sieved(query, state) for state in _states(query))
    for look in _looks():
        part = replace(query, after=after)
        edge = await _edge(database, part, look) if sieved else None
        found += await _count(database, part, edge, most - found)
        if edge is None or found >= most:
            break
        after = edge
    return found


def _looks() -> Iterator[int]:
    return chain(LOOKS, repeat(LOOKS[-1]))


async def _count(database: Database, query: TaskFilter, edge: Edge | None, most: int) -> int:
    sql = f"SELECT count(*) FROM ({_listing(query)}) n"
    found: int = await database.fetchval(sql, *_arguments(query, edge), most, 0)
    return found


async def _read(database: Database, query: TaskFilter, edge: Edge | None) -> list[TaskHead]:
    rows = await database.fetch(_listing(query), *_arguments(query, edge), query.skip + query.limit, query.skip)
    return [TaskHead(**columns_of(row)) for row in rows]


async def _read_by_size(database: Database, query: TaskFilter, edge: Edge | None) -> tuple[list[TaskHead], bool]:
    """The rows up to PAGE_BYTES, and whether there were more."""
    sql = _BY_SIZE.format(listing=_listing(query))
    rows = await database.fetch(sql, *_arguments(query, edge), query.limit, 0)
    return [TaskHead(**columns_of(row)) for row in rows], bool(rows) and rows[0]["of"] > len(rows)


def _listing(query: TaskFilter) -> str:
    """SQL for the list. Each part stops at the page's end."""
    parts = " UNION ALL ".join(f"({_part(query, state)})" for state in _states(query))
    return f"SELECT * FROM ({parts}) found {_ORDER} LIMIT $11 - $12 OFFSET $12"


async def _edge(database: Database, query: TaskFilter, look: int) -> Edge | None:
    """Where a search of `look` rows ends: the first edge among the filtered parts."""
    parts = " UNION ALL ".join(
        f"(SELECT created_at, id FROM tasks t WHERE {_walked(query, state)} {_ORDER} OFFSET $11 LIMIT 1)"
        for state in _states(query)
        if _sieved(query, state)
    )
    sql = f"SELECT created_at, id FROM ({parts}) edges {_ORDER} LIMIT 1"
    row = await database.fetchrow(sql, *_arguments(query, None), look - 1)
    return None if row is None else (row["created_at"], row["id"])


def _states(query: TaskFilter) -> Sequence[str]:
    """The parts of a list, each as the condition of the index that has it in the list's order. So rare tasks are found
    among millions without reading the others."""
    if query.parent_id is not None or (query.context_id is not None and owner_parameter(query.owner) is not None):
        # One owner's tasks of a conversation, and the tasks of a fan-out, have their own index, whatever their state.
        return (_ANY,)
    still_open = (_OPEN,) if owner_parameter(query.owner) is None else _OPEN_OF_OWNER
    if query.status is not None:
        return (_ENDED_AS[query.status], _ENDED_UNMARKED) if query.status.terminal else still_open
    return (*still_open, *_ENDED_AS.values(), _ENDED_UNMARKED)


def _known(query: TaskFilter, state: str) -> set[str]:
    """The columns that this part's index covers, apart from the owner."""
    if state == _ANY:
        return {"parent_id" if query.parent_id is not None else "context_id"}
    if state not in _ENDED_AS.values():
        return set()
    return {"status", "flow"} if owner_parameter(query.owner) is not None else {"status"}


def _sieved(query: TaskFilter, state: str) -> bool:
    """Whether the filter uses columns that this part's index does not cover."""
    return any(getattr(query, name) is not None for name in _SIEVES.keys() - _known(query, state))


def _walked(query: TaskFilter, state: str) -> str:
    """SQL for the rows of this part's index."""
    known = [_SIEVES[name] for name in _SIEVES if name in _known(query, state) and name != "status"]
    family = [_FAMILY] if query.parent_id is not None else []
    return " AND ".join((_OF_WHOM, state, *known, *family, _BETWEEN, _UNUSED))


def _part(query: TaskFilter, state: str) -> str:
    """SQL for a part of a list, read in the order of its index up to the page's end. Filters are applied outside the
    ordered part. Otherwise a planner that expects few matches might read and sort all of them."""
    ordered = f"SELECT {COLUMNS} FROM tasks t WHERE {_walked(query, state)} {_ORDER}"
    if not _sieved(query, state):
        return f"{ordered} LIMIT $11"
    sieves = " AND ".join(_SIEVES[name] for name in _SIEVES if name not in _known(query, state))
    return f"SELECT * FROM ({ordered} OFFSET 0) t WHERE {sieves} LIMIT $11"


def _arguments(query: TaskFilter, edge: Edge | None) -> tuple[Any, ...]:
    of_whom = (owner_parameter(query.owner), query.status, query.flow, query.context_id, query.parent_id)
    flows = None if query.flows is None else sorted(query.flows)
    return (*of_whom, *(query.after or (None, None)), *(edge or (None, None)), flows)

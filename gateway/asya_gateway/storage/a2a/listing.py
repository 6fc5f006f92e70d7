"""Pages of an owner's tasks in the order in which their status last changed, newest first.

Open tasks, of which an owner has few, are sorted in memory, because a column that reports change must not be indexed.
Ended ones are read in the order of an index, a bounded number of them. Both are merged. The tasks of a context, which
has an index of its own in another order, are sorted in memory, too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from asya_gateway.domain.conversation_lists import ConversationFilter, Place, Places, Rejection
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.guards import ASKING

LOOKS = (2_000, 8_000, 40_000)
"""Ended tasks that a page's statements look at in turn, while the page is not full."""
MOST_COUNTED = 10_000
"""Most tasks that are looked at to count a list: so many open ones, so many ended ones."""

# Pods of the version before do not write status_at: a pause has its own times, and for the first report the last one
# must do.
_OPEN_SINCE = """CASE WHEN t.status = 'pending' THEN t.created_at ELSE greatest(
    coalesce(t.status_at, t.updated_at),
    CASE WHEN t.pause_id IS NOT NULL THEN (
        SELECT p.created_at FROM task_pauses p WHERE p.task_id = t.id AND p.pause_id = t.pause_id)
    WHEN t.incarnation > 0 THEN (SELECT max(p.answered_at) FROM task_pauses p WHERE p.task_id = t.id) END
) END"""
SINCE = f"coalesce(t.finished_at, {_OPEN_SINCE})"
"""SQL: when a task `t` got its status."""

# PostgreSQL reads no field of JSON in which a NUL or half of a surrogate pair is escaped. Halves of whole pairs are
# replaced with them, and what follows an escaped backslash: no name that is compared contains either.
_READABLE = r"regexp_replace(b.body::text, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::json"
_REJECTED = f"""EXISTS (
    SELECT FROM task_bodies b
    CROSS JOIN LATERAL (SELECT {_READABLE} AS error OFFSET 0) e
    CROSS JOIN LATERAL (SELECT error -> 'details' AS details OFFSET 0) d
    WHERE b.task_id = t.id AND b.kind = 'error' AND error ->> 'class' = 'business' AND (
        error ->> 'code' = 'rejected'
        OR json_typeof(details) = 'object' AND (
            details ->> 'code' = 'rejected' OR details ->> 'type' ~ '(^|\\.)Rejected$'
            OR json_typeof(details -> 'mro') = 'array' AND EXISTS (
                SELECT FROM json_array_elements_text(details -> 'mro') name WHERE name ~ '(^|\\.)Rejected$'))))"""
"""Whether an actor has refused the work, as protocols/a2a/outputs.py judges it (a test compares them)."""

_KNOWN = f"""(t.status {ASKING} OR NOT EXISTS (
    SELECT FROM a2a_tasks hidden WHERE hidden.task_id = t.id AND hidden.reply IS NOT NULL))"""
"""Not one that is answered by a direct message (protocols/a2a/viewing.py, is_known)."""

_CALLS = "t.owner = $1 AND t.parent_id IS NULL"
_OPEN = f"{_CALLS} AND t.finished_at IS NULL"
_ENDED = f"{_CALLS} AND t.finished_at IS NOT NULL AND ($5::timestamptz IS NULL OR t.finished_at >= $5)"
_OF_CONTEXT = f"{_CALLS} AND (t.context_id = ANY ($4) OR t.id = $3)"
_AFTER = "($6::timestamptz IS NULL OR ({since}, t.id) < ($6, $7))"
_NEWEST = "ORDER BY since DESC, id DESC"
_ENDED_NEWEST = "ORDER BY t.finished_at DESC, t.id DESC"
_UNUSED = "($3::text IS NULL OR $4::text[] IS NULL OR $5::timestamptz IS NULL OR $7::text IS NULL OR true)"
"""Gives each parameter its type in every statement."""

_SORTED = f"""SELECT t.id, t.since FROM (
    SELECT t.*, {SINCE} AS since FROM tasks t {{joined}} WHERE {{which}} AND {{matches}} OFFSET 0
) t WHERE ($5::timestamptz IS NULL OR t.since >= $5) AND {_AFTER.format(since="t.since")} {_NEWEST} LIMIT $8"""
# What matches is found outside the ordered part. Otherwise a planner that expects few might read and sort all of them.
_WALKED = f"""SELECT t.id, t.finished_at AS since FROM (
    SELECT t.id, t.finished_at, t.flow, t.status FROM tasks t
    WHERE {_ENDED} AND {_AFTER.format(since="t.finished_at")} {_ENDED_NEWEST} LIMIT $9
) t WHERE {{matches}} {_NEWEST} LIMIT $8"""

_PLACES = f"""
WITH walked AS MATERIALIZED ({{walked}}), sorted AS ({{sorted}})
SELECT id, since, (SELECT count(*) FROM walked) AS walked
FROM (SELECT * FROM sorted UNION ALL SELECT * FROM walked) found WHERE {_UNUSED} AND $9::bigint > 0 {_NEWEST} LIMIT $8
"""
_NOTHING = "SELECT NULL::text AS id, NULL::timestamptz AS since WHERE false"
_EDGE = f"""
SELECT t.finished_at, t.id FROM tasks t
WHERE {_ENDED} AND {_AFTER.format(since="t.finished_at")} AND $2::text[] IS NOT NULL AND {_UNUSED}
{_ENDED_NEWEST} OFFSET $8 LIMIT 1
"""

_COUNT_SORTED = f"""SELECT count(*) FROM (
    SELECT {SINCE} AS since FROM tasks t {{joined}} WHERE {{which}} AND {{matches}} LIMIT $8
) t WHERE ($5::timestamptz IS NULL OR t.since >= $5)"""
_COUNT_WALKED = f"""SELECT count(*) FROM (
    SELECT t.id, t.flow, t.status FROM tasks t WHERE {_ENDED} {_ENDED_NEWEST} LIMIT $8
) t WHERE {{matches}}"""
_COUNT = f"SELECT sum(n)::integer FROM ({{parts}}) c (n) WHERE $6::timestamptz IS NULL AND {_UNUSED}"


async def places(database: Database, query: ConversationFilter) -> Places:
    """A page. It may end before it is full; `next` then says where to continue."""
    found: list[Place] = []
    after = query.after
    for look in LOOKS:
        part = replace(query, after=after, limit=query.limit - len(found))
        rows = await database.fetch(_places_sql(query), *_arguments(part), part.limit + 1, look)
        walked = rows[0]["walked"] if rows else 0
        edge = await _edge(database, part, look) if _walks(query) and walked <= part.limit else None
        read = [(row["since"], row["id"]) for row in rows]
        found += read if edge is None else [place for place in read if place >= edge]
        after = edge
        if edge is None or len(found) > query.limit:
            break
    more = len(found) > query.limit
    return Places(found[: query.limit], found[query.limit - 1] if more else after)


async def count(database: Database, query: ConversationFilter) -> int:
    """The number of tasks in the list, among those that are looked at."""
    matches = _matches(query)
    sorted_part = _COUNT_SORTED.format(which=_which(query), joined=_joined(query), matches=matches)
    parts = [sorted_part] if _sorts(query) else []
    parts += [_COUNT_WALKED.format(matches=matches)] if _walks(query) else []
    sql = _COUNT.format(parts=" UNION ALL ".join(f"({part})" for part in parts))
    found: int = await database.fetchval(sql, *_arguments(replace(query, after=None)), MOST_COUNTED)
    return found


async def _edge(database: Database, query: ConversationFilter, look: int) -> Place | None:
    """The last of `look` ended tasks; None if there are fewer."""
    row = await database.fetchrow(_EDGE, *_arguments(query), look - 1)
    return None if row is None else (row["finished_at"], row["id"])


def _places_sql(query: ConversationFilter) -> str:
    matches = _matches(query)
    by_time = _SORTED.format(which=_which(query), joined=_joined(query), matches=matches)
    return _PLACES.format(
        sorted=by_time if _sorts(query) else _NOTHING,
        walked=_WALKED.format(matches=matches) if _walks(query) else _NOTHING,
    )


def _sorts(query: ConversationFilter) -> bool:
    """Whether there is a part that is sorted in memory."""
    return query.context_id is not None or query.status is None or not query.status.terminal


def _walks(query: ConversationFilter) -> bool:
    """Whether ended tasks are read in the order of their index."""
    return query.context_id is None and (query.status is None or query.status.terminal)


def _which(query: ConversationFilter) -> str:
    return _OPEN if query.context_id is None else _OF_CONTEXT


def _joined(query: ConversationFilter) -> str:
    return "" if query.context_id is None else "LEFT JOIN a2a_tasks a ON a.task_id = t.id"


def _matches(query: ConversationFilter) -> str:
    found = ["t.flow = ANY ($2)", _KNOWN]
    if query.status is not None:
        found.append(f"t.status = '{query.status.value}'")
    match query.rejection:
        case Rejection.ONLY:
            found.append(_REJECTED)
        case Rejection.NONE:
            found.append(f"NOT {_REJECTED}")
        case Rejection.ANY:
            pass
    if query.context_id is not None:
        # A client's own name of a context, else the one that another protocol gave, else the task's.
        found.append("coalesce(a.context_id, t.context_id, t.id) = $3")
    return " AND ".join(found)


def _arguments(query: ConversationFilter) -> Sequence[Any]:
    names, context_names = sorted(query.flows), sorted(query.context_names)
    return (query.owner, names, query.context_id, context_names, query.since, *(query.after or (None, None)))

"""The statements of lists of conversations.

Each has the same parameters: owner ($1), flows ($2), context_id ($3), context_names ($4), since ($5), the place behind
which the list continues ($6, $7), the oldest open task that is sorted ($8, $9), rows to return ($10), rows to look at
($11), rows to sort ($12).
"""

from collections.abc import Sequence
from typing import Any

from asya_gateway.domain.conversation_lists import ConversationFilter, Rejection
from asya_gateway.storage.tasks.guards import ASKING

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
_LOOKED_AT = """t.id, t.parent_id, t.context_id, t.flow, t.status, t.created_at, t.updated_at, t.finished_at,
    t.status_at, t.pause_id, t.incarnation"""
_UNUSED = """($1::text IS NULL OR $2::text[] IS NULL OR $3::text IS NULL OR $4::text[] IS NULL
    OR $5::timestamptz IS NULL OR $6::timestamptz IS NULL OR $7::text IS NULL OR $8::timestamptz IS NULL
    OR $9::text IS NULL OR $10::bigint IS NULL OR $11::bigint IS NULL OR $12::bigint IS NULL OR true)"""
"""Gives each parameter its type in every statement."""

_NEWEST = "ORDER BY since DESC, id DESC"
_SINCE_THEN = "($5::timestamptz IS NULL OR t.since >= $5)"

# Of the open tasks, or of those of a context, a bounded number in the order of an index by creation. A context has two
# names, each with its part of the index. Children are in that index, too, and are left out afterwards: the statement
# must not pass any number of them.
_OF_OWNER = f"""
    SELECT {_LOOKED_AT} FROM tasks t WHERE {_OPEN} AND {{between}} {{order}} LIMIT {{size}}"""
_OF_CONTEXT = f"""
    SELECT t.* FROM (
        SELECT t.* FROM unnest($4::text[]) AS named(context_id) CROSS JOIN LATERAL (
            SELECT {_LOOKED_AT} FROM tasks t
            WHERE t.context_id = named.context_id AND t.owner = $1 AND {{between}} {{order}} LIMIT {{size}}
        ) t
        UNION SELECT {_LOOKED_AT} FROM tasks t WHERE t.id = $3 AND t.owner = $1 AND {{between}}
    ) t {{order}} LIMIT {{size}}"""
_NONE = f"SELECT {_LOOKED_AT} FROM tasks t WHERE false"
_BY_CREATION = "ORDER BY t.created_at DESC, t.id DESC"
_THE_NEWEST = {"between": "true", "order": _BY_CREATION}
_DOWN_TO_THE_OLDEST = {"between": "(t.created_at, t.id) >= ($8, $9)", "order": "ORDER BY t.created_at, t.id"}
_OLDER = {"between": "(t.created_at, t.id) < ($6, $7)", "order": _BY_CREATION}

_SORTED = f"""
    SELECT t.id, t.since FROM (
        SELECT t.*, {SINCE} AS since FROM newest t {{joined}} WHERE {{matches}} OFFSET 0
    ) t WHERE {_SINCE_THEN} AND ($6::timestamptz IS NULL OR (t.since, t.id) < ($6, $7)) {_NEWEST} LIMIT $10"""

# Ended tasks in the order of their ends. What matches is found outside the ordered part. Otherwise a planner that
# expects few might read and sort all of them.
_ENDED_IN_ORDER = f"""
    SELECT t.id, t.finished_at, t.flow, t.status FROM tasks t
    WHERE {_ENDED} AND ($6::timestamptz IS NULL OR (t.finished_at, t.id) < ($6, $7))
    ORDER BY t.finished_at DESC, t.id DESC"""
_WALKED = f"""
    SELECT t.id, t.finished_at AS since FROM ({_ENDED_IN_ORDER} LIMIT $11) t WHERE {{matches}} {_NEWEST} LIMIT $10"""
_NOTHING = "SELECT NULL::text AS id, NULL::timestamptz AS since WHERE false"

_PAGE = f"""
WITH newest AS MATERIALIZED ({{newest}}), walked AS MATERIALIZED ({{walked}}), sorted AS ({{sorted}})
SELECT found.id, found.since, counted.walked, oldest.created_at AS oldest_at, oldest.id AS oldest_id
FROM (SELECT count(*) AS walked FROM walked) counted
LEFT JOIN (SELECT t.created_at, t.id FROM newest t {_BY_CREATION} OFFSET $12 - 1 LIMIT 1) oldest ON true
LEFT JOIN (
    SELECT * FROM (SELECT * FROM sorted UNION ALL SELECT * FROM walked) either {_NEWEST} LIMIT $10
) found ON true
WHERE {_UNUSED} ORDER BY found.since DESC, found.id DESC
"""
_OLDER_PAGE = f"""
SELECT t.id, t.created_at AS since FROM (
    SELECT t.*, {SINCE} AS since FROM ({{older}}) t {{joined}} WHERE {{matches}} OFFSET 0
) t WHERE {_SINCE_THEN} AND {_UNUSED} {_BY_CREATION} LIMIT $10
"""
_EDGE = f"""
SELECT t.finished_at AS since, t.id FROM ({_ENDED_IN_ORDER} LIMIT $11) t WHERE {_UNUSED}
ORDER BY t.finished_at DESC, t.id DESC OFFSET $11 - 1 LIMIT 1
"""
_OLDER_EDGE = f"""
SELECT t.created_at AS since, t.id FROM ({{older}}) t WHERE {_UNUSED} {_BY_CREATION} OFFSET $11 - 1 LIMIT 1
"""

_COUNT_SORTED = f"""(SELECT count(*) FROM (
    SELECT t.*, {SINCE} AS since FROM ({{newest}}) t {{joined}} WHERE {{matches}} OFFSET 0
) t WHERE {_SINCE_THEN})"""
_COUNT_WALKED = f"(SELECT count(*) FROM ({_ENDED_IN_ORDER} LIMIT $11) t WHERE {{matches}})"


def page_sql(query: ConversationFilter) -> str:
    """A page of sorted and ended tasks: (id, since, walked, oldest_at, oldest_id), of which the last three are the same
    in every row, so that there is at least one. `walked`: how many of them have ended; `oldest_at`, `oldest_id`: the
    oldest task that was sorted, null if there are no others."""
    known = query.after is not None and query.after.oldest is not None
    newest = _listed(query, size="$12", **(_DOWN_TO_THE_OLDEST if known else _THE_NEWEST))
    matches, joined = _matches(query), _joined(query)
    return _PAGE.format(
        newest=newest if sorts(query) else _NONE,
        sorted=_SORTED.format(joined=joined, matches=matches) if sorts(query) else _NOTHING,
        walked=_WALKED.format(matches=matches) if walks(query) else _NOTHING,
    )


def edge_sql() -> str:
    """The last of the ended tasks that `page_sql` looks at: (since, id); nothing if there are fewer."""
    return _EDGE


def older_page_sql(query: ConversationFilter) -> str:
    """A page of tasks that are not sorted: (id, since)."""
    older = _listed(query, size="$11", **_OLDER)
    return _OLDER_PAGE.format(older=older, joined=_joined(query), matches=_matches(query))


def older_edge_sql(query: ConversationFilter) -> str:
    """The last of the tasks that `older_page_sql` looks at: (since, id); nothing if there are fewer."""
    return _OLDER_EDGE.format(older=_listed(query, size="$11", **_OLDER))


def count_sql(query: ConversationFilter) -> str:
    """The number of tasks among those that are looked at."""
    parts, matches = [], _matches(query)
    if sorts(query):
        newest = _listed(query, size="$12", **_THE_NEWEST)
        parts.append(_COUNT_SORTED.format(newest=newest, joined=_joined(query), matches=matches))
    if walks(query):
        parts.append(_COUNT_WALKED.format(matches=matches))
    return f"SELECT ({' + '.join(parts)})::integer WHERE {_UNUSED}"


def sorts(query: ConversationFilter) -> bool:
    """Whether there is a part that is sorted in memory."""
    return query.context_id is not None or query.status is None or not query.status.terminal


def walks(query: ConversationFilter) -> bool:
    """Whether ended tasks are read in the order of their index."""
    return query.context_id is None and (query.status is None or query.status.terminal)


def arguments(query: ConversationFilter, *, returned: int = 0, looked_at: int = 0, to_sort: int = 0) -> Sequence[Any]:
    """The parameters of each statement."""
    place, oldest = (None, None) if query.after is None else (query.after.place, query.after.oldest)
    return (
        query.owner,
        sorted(query.flows),
        query.context_id,
        sorted(query.context_names),
        query.since,
        *(place or (None, None)),
        *(oldest or (None, None)),
        returned,
        looked_at,
        to_sort,
    )


def _listed(query: ConversationFilter, *, between: str, order: str, size: str) -> str:
    listed = _OF_OWNER if query.context_id is None else _OF_CONTEXT
    return listed.format(between=between, order=order, size=size)


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
        found.append("t.parent_id IS NULL")
        # A client's own name of a context, else the one that another protocol gave, else the task's.
        found.append("coalesce(a.context_id, t.context_id, t.id) = $3")
    return " AND ".join(found)

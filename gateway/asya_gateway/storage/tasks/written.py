"""Columns that several statements write or return. Each list is in one place, so that a new column is added once."""

INTO_LOG = "INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)"
"""Appends an entry to a log."""

INTO_BODIES = "INSERT INTO task_bodies (task_id, kind, body)"

GROWN = "t.id, t.last_seq, t.status, t.progress, t.updated_at"
"""What an update of tasks `t` returns for the entries that it appends."""

ENDING = """last_seq = t.last_seq + 1, remaining = NULL, pause_id = NULL,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()"""
"""Beside the status and what belongs to it: what changes in the row of a task `t` that ends."""

INTO_CHILDREN = """INSERT INTO tasks (id, parent_id, context_id, owner, flow, surface, status, route, hop, ends_itself,
                       deadline_at, message, created_at, updated_at, finished_at, ended_as)"""
"""Stores a child, which ends at once if it is announced too late."""

FIRST_OF_CHILD = f"""{INTO_LOG}
SELECT id, 1, CASE status WHEN 'canceled' THEN 'final' ELSE 'created' END, status, 0,"""
"""Appends the first entry of children of which `id` and `status` were returned; `detail` and `at` follow."""

INTO_REQUEST_KEYS = "INSERT INTO task_request_keys (task_id, action, key, digest)"
TAKE_REQUEST_KEY = f"{INTO_REQUEST_KEYS} VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING true"
"""Takes the key of an action on a task; returns nothing if it is taken already."""

INTO_MESSAGES = "INSERT INTO a2a_messages (task_id, number, message)"

DESTINATION_COLUMNS = "task_id, channel, name, owner, revocables, url, host, options, sealed, delivered_seq"


def open_up_to_cap(rows: str) -> str:
    """SQL that counts `rows`, a SELECT for each `o.name` of the names $1. The count stops at its cap in $2."""
    return f"""
SELECT o.name, (SELECT count(*) FROM ({rows} LIMIT o.cap) f) AS open
FROM unnest($1::text[], $2::integer[]) AS o(name, cap)
"""

"""Removes sessions that were idle for too long, and what has outlived its session or its time, in chunks."""

from datetime import timedelta

from asya_gateway.domain.sessions.session import HELD_SECONDS, IDLE_SECONDS, SessionTransport
from asya_gateway.storage.database import Database
from asya_gateway.storage.removing import in_chunks
from asya_gateway.storage.sessions.requests import BYTES, KEPT, LEFT_FOR, MOST_LOGGED, MOST_LOGGED_BYTES, OPEN_FOR

RETIRE_EVERY = 60.0
MOST_CALLS = 1_000
"""Rows of calls of one session."""
NOTES_KEPT = timedelta(minutes=1)
"""For how long a cancellation waits for its call, and rows that are too many, or whose session has ended, are kept."""

_IDLE = """
DELETE FROM mcp_sessions WHERE key = ANY (ARRAY(
    SELECT key FROM mcp_sessions WHERE used_at < now() - $1::interval
    ORDER BY used_at LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

_STREAMS_GONE = f"""
DELETE FROM mcp_sessions WHERE key = ANY (ARRAY(
    SELECT key FROM mcp_sessions WHERE transport = '{SessionTransport.SSE}' AND used_at < now() - $1::interval
    LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

# The next tables have few rows, most of them of open calls.
_NOTES = """
DELETE FROM mcp_calls WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mcp_calls WHERE call IS NULL AND at < now() - $1::interval
    LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
_CALLS = """
DELETE FROM mcp_calls WHERE ctid = ANY (ARRAY(
    SELECT c.ctid FROM mcp_calls c
    WHERE c.at < now() - $1::interval
      AND NOT EXISTS (
          SELECT FROM tasks t WHERE t.id = coalesce(c.task_id, c.call ->> 'result_of') AND t.finished_at IS NULL
      )
    LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
# Grouped by an expression, so that the table is read once from one end to the other: by the index, each row would be
# fetched by itself.
_MANY_CALLS = f"""
DELETE FROM mcp_calls WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mcp_calls WHERE ctid = ANY (ARRAY(
        SELECT placed.ctid
        FROM (SELECT session || ''::bytea AS key FROM mcp_calls GROUP BY 1 HAVING count(*) > {MOST_CALLS}) many
        CROSS JOIN LATERAL (
            SELECT c.ctid, c.at FROM mcp_calls c WHERE c.session = many.key ORDER BY c.at DESC OFFSET {MOST_CALLS}
        ) placed
        WHERE placed.at < now() - $1::interval LIMIT $2
    )) FOR UPDATE SKIP LOCKED
))
"""
# A log is bounded when something is asked; what is answered after that, here.
_LARGE_LOGS = f"""
DELETE FROM mcp_server_requests WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mcp_server_requests WHERE ctid = ANY (ARRAY(
        SELECT placed.ctid
        FROM (
            SELECT session || ''::bytea AS key FROM mcp_server_requests
            GROUP BY 1 HAVING count(*) > {MOST_LOGGED} OR sum({BYTES}) > {MOST_LOGGED_BYTES}
        ) large
        CROSS JOIN LATERAL (
            SELECT r.ctid, r.ended_at, row_number() OVER newest AS place, sum({BYTES}) OVER newest AS bytes
            FROM mcp_server_requests r WHERE r.session = large.key WINDOW newest AS (ORDER BY number DESC)
        ) placed
        WHERE placed.ended_at < now() - $1::interval
          AND (placed.place > {MOST_LOGGED} OR placed.bytes > {MOST_LOGGED_BYTES})
        LIMIT $2
    )) FOR UPDATE SKIP LOCKED
))
"""
_REQUESTS = """
DELETE FROM mcp_server_requests WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mcp_server_requests WHERE {since} < now() - $1::interval
    LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
_ENDED_REQUESTS, _OLD_REQUESTS = _REQUESTS.format(since="ended_at"), _REQUESTS.format(since="asked_at")
_LEFT_REQUESTS = """
DELETE FROM mcp_server_requests WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mcp_server_requests
    WHERE ended_at IS NULL AND coalesce(held_at, asked_at) < now() - $1::interval
    LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
_ENDED_TASKS = """
DELETE FROM mcp_session_tasks WHERE ctid = ANY (ARRAY(
    SELECT n.ctid FROM mcp_session_tasks n
    WHERE n.at < now() - $1::interval
      AND NOT EXISTS (SELECT FROM tasks t WHERE t.id = n.task_id AND t.finished_at IS NULL)
    LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
_LEFT_BEHIND = """
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT r.ctid FROM {table} r
    WHERE r.{since} < now() - $1::interval
      AND NOT EXISTS (SELECT FROM mcp_sessions s WHERE s.key = r.session)
    LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
_STATEMENTS = (
    (_IDLE, timedelta(seconds=IDLE_SECONDS)),
    (_STREAMS_GONE, timedelta(seconds=HELD_SECONDS)),
    *(
        (_LEFT_BEHIND.format(table=table, since=since), NOTES_KEPT)
        for table, since in (
            ("mcp_calls", "at"),
            ("mcp_server_requests", "asked_at"),
            ("mcp_inbox", "at"),
            ("mcp_session_tasks", "at"),
        )
    ),
    (_NOTES, NOTES_KEPT),
    (_CALLS, KEPT),
    (_MANY_CALLS, NOTES_KEPT),
    (_LARGE_LOGS, NOTES_KEPT),
    (_ENDED_REQUESTS, KEPT),
    (_OLD_REQUESTS, OPEN_FOR),
    (_LEFT_REQUESTS, LEFT_FOR),
    (_ENDED_TASKS, NOTES_KEPT),
)


class SessionRetention:
    """Several processes may do this at the same time; each skips rows that another has locked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def retire(self) -> int:
        """Remove what is too old or left behind; returns how many rows."""
        removed = 0
        for sql, age in _STATEMENTS:
            removed += await in_chunks(self._database, sql, age)
        return removed

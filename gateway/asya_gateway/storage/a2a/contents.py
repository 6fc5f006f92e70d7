"""The tasks of a list's page, with what their views show, read in one statement."""

from collections.abc import Sequence
from typing import Any

from asya_gateway.domain.conversation_lists import Listed, Place
from asya_gateway.domain.conversations import Conversation
from asya_gateway.domain.task import Task
from asya_gateway.storage.a2a.conversations import disabled_of, reasons
from asya_gateway.storage.a2a.listing_sql import SINCE
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.heads import COLUMNS, columns_of
from asya_gateway.storage.tasks.reading import INPUTS
from asya_gateway.storage.tasks.rows import error_of, inline, pause_of, small_bodies

PAGE_BYTES = 1024 * 1024
"""Bytes of what is read beyond which a page ends, after at least one task. A body that is read alone because of its
size counts as so many."""

_SIZES = ("route", "message", "result", "error", "question", "messages_text")

# The question is an aggregate, as the bodies are (small_bodies).
_CONTENTS = f"""
SELECT * FROM (
    SELECT found.*, sum(size) OVER (ORDER BY n) AS bytes FROM (
        SELECT one.*, {" + ".join(f"coalesce(octet_length({name}), 0)" for name in _SIZES)}
               + CASE WHEN left_out THEN {PAGE_BYTES} ELSE 0 END AS size
        FROM (
            SELECT f.n, {COLUMNS}, {SINCE} AS since, a.task_id IS NOT NULL AS conversed, a.dialect,
                   a.context_id AS client_context_id, a.client_task_id, b.result, b.error, q.question, {INPUTS},
                   ({disabled_of("t.id")}) AS disabled, m.messages, array_to_string(m.messages, '') AS messages_text,
                   coalesce(b.left_out, false) OR coalesce(q.left_out, false) OR coalesce(m.left_out, false) AS left_out
            FROM unnest($2::text[]) WITH ORDINALITY AS f(id, n)
            JOIN tasks t ON t.id = f.id AND t.owner = $1
            LEFT JOIN a2a_tasks a ON a.task_id = t.id
            CROSS JOIN LATERAL (
                {small_bodies(("result", "error"), "kind = 'error' OR kind = 'result' AND $4")}
            ) b
            CROSS JOIN LATERAL (
                SELECT max(question) AS question, bool_or(question IS NULL) AS left_out FROM (
                    SELECT {inline("question")} AS question FROM task_pauses
                    WHERE task_id = t.id AND pause_id = t.pause_id
                ) questions
            ) q
            CROSS JOIN LATERAL (
                SELECT CASE WHEN sum(octet_length(message)) <= {PAGE_BYTES}
                       THEN array_agg(message ORDER BY number) END AS messages,
                       bool_or(message IS NULL) OR sum(octet_length(message)) > {PAGE_BYTES} AS left_out
                FROM (
                    SELECT number, {inline("message")} AS message FROM a2a_messages
                    WHERE task_id = t.id ORDER BY number DESC LIMIT $3
                ) newest
            ) m
        ) one
    ) found
) page WHERE n = 1 OR bytes <= {PAGE_BYTES} ORDER BY n
"""


async def contents(
    database: Database, owner: str, places: Sequence[Place], *, messages: int | None, results: bool
) -> list[Listed]:
    """The first tasks of a page, in its order."""
    rows = await database.fetch(_CONTENTS, owner, [task_id for _, task_id in places], messages, results)
    return [_listed(row) for row in rows]


def _listed(row: Any) -> Listed:
    columns = {**columns_of(row), "status_at": row["since"]}
    task = Task(**columns, result=row["result"], error=error_of(row), pause=pause_of(row))
    conversation = None
    if row["conversed"]:
        names = row["client_context_id"], row["client_task_id"]
        conversation = Conversation(task.id, task.owner, row["dialect"], *names)
    return Listed(task, conversation, row["messages"] or (), reasons(row["disabled"]), whole=not row["left_out"])

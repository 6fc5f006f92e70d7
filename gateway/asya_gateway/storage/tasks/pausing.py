"""Questions and answers: a pause stops the clock and stores its question; the first answer resumes the task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg

from asya_crds import jsontext
from asya_crds.status import TaskStatus
from asya_gateway.domain.answers import Answer, RequestKey, Resumption
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.log import PAUSED_HOP, TASK_RESUMED, PausedEntry, ResumedEntry
from asya_gateway.domain.reports import PauseReport, ProgressAnswer
from asya_gateway.domain.task import JsonText
from asya_gateway.domain.text import storable
from asya_gateway.storage.replication import settled
from asya_gateway.storage.retrying import acquired
from asya_gateway.storage.tasks.creating import Enqueue
from asya_gateway.storage.tasks.guards import ASKING, MOVING
from asya_gateway.storage.tasks.incarnations import CURRENT, NEWER, PROGRESS
from asya_gateway.storage.tasks.owners import owned, owner_parameter
from asya_gateway.storage.tasks.written import GROWN, INTO_LOG, INTO_REQUEST_KEYS

AWAITS = f"id = $1 AND {owned(2)} AND status {ASKING} AND pause_id = $3"
"""The task waits for an answer to this pause."""
STILL_OPEN = "i.answered_at IS NULL AND i.pause_id = excluded.pause_id"
"""Of an input `i` that would be inserted: it is stored for the same pause, and nobody has answered it."""

_PAUSE = f"""
WITH r AS MATERIALIZED (
    SELECT $8::integer AS hop, $9::float8 AS progress, $11::integer AS incarnation, clock_timestamp() AS at
), locked AS MATERIALIZED (
    SELECT t.id, t.status, t.progress, t.incarnation, t.own_incarnation, t.flow,
           t.status {MOVING} AND {CURRENT} AND NOT EXISTS (
               SELECT FROM task_pauses p WHERE p.task_id = $1 AND p.pause_id = $2) AS may_ask
    FROM tasks t CROSS JOIN r WHERE t.id = $1 FOR NO KEY UPDATE OF t
), taken AS MATERIALIZED (
    SELECT key FROM task_inputs WHERE task_id = $1 AND key = ANY ($16) AND pause_id <> $2
    UNION
    -- Pods of the previous version store pauses without inputs.
    SELECT pause_id FROM task_pauses WHERE task_id = $1 AND pause_id = ANY ($16) AND pause_id <> $2
), asked AS (
    INSERT INTO task_pauses (task_id, pause_id, question, checkpoint, created_at, reported_as, expires_at)
    SELECT t.id, $2, $3::json, $4::json, r.at, $12, r.at + coalesce(
        (SELECT longest FROM unnest($14::text[], $15::float8[]) AS f(flow, longest) WHERE f.flow = t.flow), $13
    ) * interval '1 second'
    FROM locked t CROSS JOIN r
    WHERE t.status {MOVING} AND {CURRENT} AND NOT EXISTS (SELECT FROM taken)
    ON CONFLICT DO NOTHING
    RETURNING task_id
), inputs AS (
    INSERT INTO task_inputs (task_id, key, pause_id)
    SELECT task_id, unnest($16::text[]), $2 FROM asked
    ON CONFLICT DO NOTHING
), applied AS (
    UPDATE tasks t SET
        status = $5, status_at = clock_timestamp(), pause_id = $2, message = $6,
        route = CASE WHEN {NEWER} THEN coalesce($7::json, t.route) ELSE t.route END,
        hop = CASE WHEN {NEWER} THEN r.hop ELSE t.hop END,
        progress = {PROGRESS},
        remaining = greatest(t.deadline_at - clock_timestamp(), interval '0'), deadline_at = NULL,
        last_seq = t.last_seq + 1, updated_at = clock_timestamp()
    FROM asked CROSS JOIN r WHERE t.id = asked.task_id
    RETURNING {GROWN}
), logged AS (
    {INTO_LOG}
    SELECT id, last_seq, 'paused', status, progress, $10::json, updated_at FROM applied
)
SELECT coalesce(a.status, l.status) AS status, coalesce(a.progress, l.progress) AS progress,
       a.id IS NOT NULL AS applied, l.may_ask AND a.id IS NULL AS refused,
       ARRAY(SELECT key FROM taken ORDER BY key) AS taken
FROM locked l LEFT JOIN applied a USING (id)
"""

_ANSWER = f"""
WITH locked AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE {AWAITS}
    FOR NO KEY UPDATE
), closed AS (
    INSERT INTO task_inputs AS i (task_id, key, pause_id, action, answer, answer_key, answered_at)
    SELECT id, $13, $3, $14, $4::json, $7, clock_timestamp() FROM locked
    ON CONFLICT (task_id, key) DO UPDATE SET
        action = excluded.action, answer = excluded.answer, answer_key = excluded.answer_key,
        answered_at = excluded.answered_at
    WHERE {STILL_OPEN}
    RETURNING i.task_id
), answered AS (
    UPDATE task_pauses p SET answer_key = $7, answered_at = clock_timestamp()
    FROM closed c WHERE p.task_id = c.task_id AND p.pause_id = $3 AND p.answered_at IS NULL
    RETURNING p.task_id, p.checkpoint IS NOT NULL AS ours
), resumed AS (
    -- With a checkpoint our x-resume goes on, under the task's own id and along the same route; another crew goes on
    -- under the envelope's id, along a route that begins anew.
    UPDATE tasks t SET
        status = 'running', status_at = clock_timestamp(),
        deadline_at = clock_timestamp() + t.remaining, remaining = NULL,
        pause_id = NULL, message = $12::json ->> 'message',
        incarnation = $11, own_incarnation = CASE WHEN a.ours THEN $11 ELSE t.own_incarnation END,
        hop = CASE WHEN a.ours THEN t.hop ELSE 0 END,
        answered_progress = CASE WHEN a.ours THEN t.answered_progress ELSE t.progress END,
        last_seq = t.last_seq + 1, updated_at = clock_timestamp()
    FROM answered a WHERE t.id = a.task_id
    RETURNING t.id, t.last_seq, t.progress, t.updated_at
), kept AS (
    {INTO_REQUEST_KEYS}
    SELECT id, $8, $9, $10 FROM resumed WHERE $9::text IS NOT NULL
    ON CONFLICT DO NOTHING
), incoming AS (
    SELECT id, $5::text AS actor, $6::text AS envelope, updated_at AS created_at FROM resumed
), logged AS (
    {INTO_LOG}
    SELECT id, last_seq, 'resumed', 'running', progress, $12::json, updated_at FROM resumed
), """

_ANSWERED_BY = "SELECT answer_key = $3 FROM task_pauses WHERE task_id = $1 AND pause_id = $2"


@dataclass(frozen=True, slots=True)
class PauseLimits:
    """How long a question may wait for its answer, in seconds. `flows` has the flows with their own limit; `known` says
    whether the flows have been read."""

    default: float = 30 * 86_400.0
    flows: Mapping[str, float] = field(default_factory=dict)
    known: bool = True


class _Sent(NamedTuple):
    id: str
    actor: str
    envelope: JsonText


class Pausing:
    """Runs without batching, because questions are rare compared with progress."""

    def __init__(
        self,
        pool: Callable[[], asyncpg.Pool],
        written: Callable[[Sequence[str]], None],
        enqueue: Enqueue,
        limits: Callable[[], PauseLimits],
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._written = written
        self._enqueue = enqueue
        self._answer_sql = _ANSWER + enqueue.of("incoming", argument=15)

    async def pause(self, report: PauseReport) -> ProgressAnswer:
        """Store the question. A repeated question, or one for a task that has ended, changes nothing. Raises
        InvalidInput if it uses the key of an earlier one."""
        pause, limits = report.pause, self._limits()
        question = pause.as_dict()
        entry = PausedEntry(
            message=pause.prompt or "Task paused",
            route=None if report.route.says_nothing else report.route,
            state=PAUSED_HOP,
            pause=pause,
        )
        async with acquired(self._pool()) as connection:
            row = await connection.fetchrow(
                _PAUSE,
                report.task_id,
                pause.id,
                jsontext.dumps(question),
                report.checkpoint,
                report.status.value,
                storable(pause.prompt or "Task paused"),
                None if report.route.says_nothing else jsontext.dumps(report.route.as_dict()),
                report.route.hop,
                report.progress,
                entry.to_json(),
                report.incarnation,
                None if report.reported_as in ("", report.task_id) else report.reported_as,
                limits.default,
                list(limits.flows),
                list(limits.flows.values()),
                list(pause.keys),
            )
            if row is not None and not row["applied"]:
                # The sender of a repeated question forgets it when it is answered.
                await settled(connection)
        if row is None:
            return ProgressAnswer(known=False, progress=report.progress)
        if row["refused"] and row["taken"]:
            raise InvalidInput(
                f"expected keys that the task has not used before; used was {', '.join(row['taken'])}",
                field="pause_metadata.inputs" if pause.inputs else "pause_id",
            )
        if row["applied"]:
            self._written([report.task_id])
        return ProgressAnswer(known=True, progress=row["progress"], status=TaskStatus.read(row["status"]))

    async def answer(self, answer: Answer, onward: Resumption) -> bool:
        """Store the last answer of a pause, together with its envelope. A retry after a lost connection recognises by
        its key that it has answered the pause itself."""
        async with acquired(self._pool()) as connection:
            row = await connection.fetchrow(
                self._answer_sql,
                answer.task_id,
                owner_parameter(answer.owner),
                answer.pause_id,
                answer.value,
                onward.actor,
                onward.envelope,
                answer.key,
                *request_columns(answer.request),
                onward.incarnation,
                ResumedEntry(message=TASK_RESUMED, pause_id=answer.pause_id).to_json(),
                answer.input_key,
                answer.action.value,
                *self._enqueue.arguments,
            )
            if row is None:
                return bool(await connection.fetchval(_ANSWERED_BY, answer.task_id, answer.pause_id, answer.key))
        self._written([answer.task_id])
        self._enqueue.committed([_Sent(answer.task_id, onward.actor, onward.envelope)], [row])
        return True


def request_columns(key: RequestKey | None) -> tuple[str | None, str | None, bytes | None]:
    """The action, the key and the digest of a caller's key."""
    return (None, None, None) if key is None else (key.action, key.key, key.digest)

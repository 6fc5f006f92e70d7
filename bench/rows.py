"""What pgbench writes: the same rows, of the same bytes, in one transaction."""

import json

from bench.pgbench import Script

ARGUMENTS = {"text": "The quick brown fox jumps over the lazy dog. " * 4, "count": 7}
CALL = json.dumps({"name": "echo", "arguments": ARGUMENTS})
"""The body of a call: some 250 bytes, as a prompt has."""

_ID = "00000000-0000-7000-8000-000000000000"
_STAMP = "2026-01-01T00:00:00.000000Z"


def envelope(task_id: str = _ID) -> str:
    """An envelope as the gateway writes it for CALL."""
    return json.dumps(
        {
            "id": task_id,
            "route": {"prev": [], "curr": "bench-first", "next": ["bench-second", "bench-third"]},
            "headers": {"x-asya-gateway-url": "http://asya-gateway-mesh:8080", "x-asya-flow": "echo"},
            "status": {
                "phase": "pending",
                "actor": "bench-first",
                "attempt": 1,
                "max_attempts": 1,
                "created_at": _STAMP,
                "updated_at": _STAMP,
                "deadline_at": _STAMP,
            },
            "payload": ARGUMENTS,
        },
        separators=(",", ":"),
    )


_ROUTE = json.dumps({"prev": [], "curr": "bench-first", "next": ["bench-second", "bench-third"]}, separators=(",", ":"))
_PAYLOAD = json.dumps(ARGUMENTS, separators=(",", ":"))

_OUTBOX = f"""
    INSERT INTO outbox (task_id, actor, body, not_before, created_at)
    SELECT id, 'bench-first', '{envelope()}', at + interval '5 seconds', at FROM fresh RETURNING id"""
_QUEUE = f"""
    INSERT INTO queue_messages (queue, body)
    SELECT 'asya-default-bench-first', convert_to('{envelope()}', 'UTF8') FROM fresh RETURNING id"""


def create_script(*, outbox: bool) -> Script:
    """A call's four rows as one statement, which is one transaction and one round trip: the fastest that a client
    without batching can do. `outbox`: the envelope goes to the outbox, else into the postgres transport's queue."""
    return Script(
        "create",
        f"""WITH fresh AS (
    SELECT uuidv7()::text AS id, clock_timestamp() AS at
), created AS (
    INSERT INTO tasks (id, flow, owner, surface, status, route, created_at, updated_at, deadline_at)
    SELECT id, 'echo', '', 'rest', 'pending', '{_ROUTE}', at, at, at + interval '10 minutes' FROM fresh
), bodies AS (
    INSERT INTO task_bodies (task_id, kind, body) SELECT id, 'payload', '{_PAYLOAD}' FROM fresh
), logged AS (
    INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT id, 1, 'created', 'pending', 0, '{{"message"\\:"Task created"}}', at FROM fresh
), queued AS ({_OUTBOX if outbox else _QUEUE}
) SELECT id FROM queued;
""".replace("\\:", ":"),
        {},
    )


REPORTED_TASKS = 5_000

FILL = (
    f"""INSERT INTO tasks (id, flow, owner, surface, status, route, created_at, updated_at, deadline_at)
    SELECT 'task-' || lpad(n::text, 8, '0'), 'echo', '', 'rest', 'pending', '{_ROUTE}', now(), now(),
           now() + interval '1 day'
    FROM generate_series(0, {REPORTED_TASKS - 1}) AS n""",
    """INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT id, 1, 'created', 'pending', 0, '{"message":"Task created"}', now() FROM tasks""",
    "ANALYZE",
)
"""Tasks that reports are sent for, before either side begins."""


def report_path(number: int) -> str:
    """Where reports of a task go."""
    return f"/mesh/task-{number:08d}/progress"


def report_body(message: str = "working on it") -> str:
    """A report as a sidecar sends it in the middle of a hop."""
    return json.dumps(
        {"prev": [], "curr": "bench-first", "next": ["bench-second", "bench-third"], "status": "processing"}
        | {"message": message, "duration_ms": 12}
    )


_DETAIL = json.dumps(
    {
        **json.loads(_ROUTE),
        "task_state": "processing",
        "duration_ms": 12,
        "message": "working on it",
    },
    separators=(",", ":"),
)


def report_script() -> Script:
    """A report's two rows, the task changed and the update appended, as one statement."""
    return Script(
        "report",
        f"""\\set n random(0, :tasks - 1)
WITH applied AS (
    UPDATE tasks SET status = 'running', route = '{_ROUTE}', hop = 0, progress = 16.7, message = 'working on it',
        actor = 'bench-first', last_seq = last_seq + 1, updated_at = clock_timestamp(),
        recent_reports = (hashint8extended(:n, last_seq) || recent_reports)[1 : 8]
    WHERE id = 'task-' || lpad((:n)::text, 8, '0') AND status IN ('pending', 'running')
    RETURNING id, last_seq, status, progress, updated_at
) INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT id, last_seq, 'progress', status, progress, '{_DETAIL}', updated_at FROM applied;
""",
        {"tasks": REPORTED_TASKS},
    )

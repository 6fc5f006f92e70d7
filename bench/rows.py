"""The data for pgbench: the same rows with the same bytes, in one transaction."""

import json

from bench.pgbench import Script

ARGUMENTS = {"text": "The quick brown fox jumps over the lazy dog. " * 4, "count": 7}
CALL = json.dumps({"name": "echo", "arguments": ARGUMENTS})
"""The body of a call: some 250 bytes, like a prompt."""

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

_TASK = f"'echo', '', 'rest', 'pending', '{_ROUTE}'"
_CREATED = "1, 'created', 'pending', 0, '{\"message\":\"Task created\"}'"
_TASK_COLUMNS = "id, flow, owner, surface, status, route, created_at, updated_at, deadline_at"
_UPDATE_COLUMNS = "task_id, seq, kind, status, progress, detail, at"
_SORTED_ID = "lpad((:turn)::text, 20, '0') || '-' || lpad((:client_id)::text, 15, '0')"
"""Ids with the same length as ours that also grow with time. Random ones would be scattered over the indexes."""


def create_transaction(*, outbox: bool) -> Script:
    """A call's four rows in one transaction, with one INSERT for each, as with a driver."""
    queued = (
        f"INSERT INTO outbox (task_id, actor, body, not_before, created_at) "
        f"VALUES ({_SORTED_ID}, 'bench-first', '{envelope()}', now() + interval '5 seconds', now());"
        if outbox
        else f"INSERT INTO queue_messages (queue, body) "
        f"VALUES ('asya-default-bench-first', convert_to('{envelope()}', 'UTF8'));"
    )
    return Script(
        "transaction",
        f"""\\set turn :turn + 1
BEGIN;
INSERT INTO tasks ({_TASK_COLUMNS})
VALUES ({_SORTED_ID}, {_TASK}, now(), now(), now() + interval '10 minutes');
INSERT INTO task_bodies (task_id, kind, body) VALUES ({_SORTED_ID}, 'payload', '{_PAYLOAD}');
INSERT INTO task_updates ({_UPDATE_COLUMNS}) VALUES ({_SORTED_ID}, {_CREATED}, now());
{queued}
COMMIT;
""",
        {"turn": 0},
    )


def create_statement(*, outbox: bool) -> Script:
    """The same rows in one statement: one round trip, the best that a client without batching can do."""
    queued = (
        f"INSERT INTO outbox (task_id, actor, body, not_before, created_at) "
        f"SELECT id, 'bench-first', '{envelope()}', at + interval '5 seconds', at FROM fresh RETURNING id"
        if outbox
        else f"INSERT INTO queue_messages (queue, body) "
        f"SELECT 'asya-default-bench-first', convert_to('{envelope()}', 'UTF8') FROM fresh RETURNING id"
    )
    return Script(
        "statement",
        f"""WITH fresh AS (
    SELECT uuidv7()::text AS id, clock_timestamp() AS at
), created AS (
    INSERT INTO tasks ({_TASK_COLUMNS}) SELECT id, {_TASK}, at, at, at + interval '10 minutes' FROM fresh
), bodies AS (
    INSERT INTO task_bodies (task_id, kind, body) SELECT id, 'payload', '{_PAYLOAD}' FROM fresh
), logged AS (
    INSERT INTO task_updates ({_UPDATE_COLUMNS}) SELECT id, {_CREATED}, at FROM fresh
), queued AS (
    {queued}
) SELECT id FROM queued;
""",
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
"""Creates the tasks for the reports, before either side begins."""


def report_path(number: int) -> str:
    """The path for a task's reports."""
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


_APPLY = f"""UPDATE tasks SET status = 'running', route = '{_ROUTE}', hop = 0, progress = 16.7,
        message = 'working on it', actor = 'bench-first', last_seq = last_seq + 1, updated_at = clock_timestamp(),
        recent_reports = (hashint8extended(:n, last_seq) || recent_reports)[1 : 8]
    WHERE id = 'task-' || lpad((:n)::text, 8, '0') AND status IN ('pending', 'running')"""


def report_transaction() -> Script:
    """A report's two rows in one transaction: the task changed, the update appended."""
    return Script(
        "transaction",
        f"""\\set n random(0, :tasks - 1)
BEGIN;
{_APPLY};
INSERT INTO task_updates ({_UPDATE_COLUMNS})
SELECT id, last_seq, 'progress', status, progress, '{_DETAIL}', updated_at FROM tasks
WHERE id = 'task-' || lpad((:n)::text, 8, '0');
COMMIT;
""",
        {"tasks": REPORTED_TASKS},
    )


def report_statement() -> Script:
    """The same as one statement."""
    return Script(
        "statement",
        f"""\\set n random(0, :tasks - 1)
WITH applied AS (
    {_APPLY}
    RETURNING id, last_seq, status, progress, updated_at
) INSERT INTO task_updates ({_UPDATE_COLUMNS})
SELECT id, last_seq, 'progress', status, progress, '{_DETAIL}', updated_at FROM applied;
""",
        {"tasks": REPORTED_TASKS},
    )

"""Rows of a gateway that has worked for a while, inserted by the server itself into the real schema."""

OWNERS = 50
STEADY = 1_000
"""Tasks of the owner `steady`, however many the others have."""
OPEN = 2_000
"""Open tasks, however many have ended: how many are open depends on the load, not on the history."""

_ENDED = f"""
INSERT INTO tasks (id, parent_id, context_id, owner, flow, surface, status, route, last_seq, created_at, updated_at,
                   deadline_at, finished_at, ended_as)
SELECT 'old-' || lpad(n::text, 10, '0'), CASE WHEN n % 10 = 0 THEN 'old-' || lpad((n - 1)::text, 10, '0') END,
       'talk-' || n / 20, CASE WHEN n <= {STEADY} THEN 'steady' ELSE 'o' || n % {OWNERS} END, 'shout', 'rest', status,
       '{{{{}}}}', 4, at, at + interval '9 s', at + interval '1 hour', at + interval '9 s', status
FROM generate_series({{first}}, {{last}}) n
CROSS JOIN LATERAL (SELECT CASE WHEN n % 97 = 0 THEN 'failed' ELSE 'succeeded' END AS status,
                           now() - interval '20 days' + n * interval '100 ms' AS at) s
"""
_BESIDE = """
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'old-' || lpad(n::text, 10, '0'), seq, kind, status, 50, '{{"message":"first: completed"}}', now()
FROM generate_series({first}, {last}) n
CROSS JOIN (VALUES (1, 'created', 'pending'), (2, 'progress', 'running'), (3, 'progress', 'running'),
                   (4, 'final', 'succeeded')) AS u(seq, kind, status);
INSERT INTO task_hops (task_id, hop, attempt, claimant, state, lease_until)
SELECT 'old-' || lpad(n::text, 10, '0'), '0', 1, 'w', 'completed', now() FROM generate_series({first}, {last}) n;
INSERT INTO task_bodies (task_id, kind, body)
SELECT 'old-' || lpad(n::text, 10, '0'), kind, '{{"text":"the quick brown fox"}}'
FROM generate_series({first}, {last}) n CROSS JOIN (VALUES ('payload'), ('result')) AS b(kind);
INSERT INTO call_keys (owner, key, task_id, digest)
SELECT 'o' || n % 50, 'key-' || n, 'old-' || lpad(n::text, 10, '0'), ''
FROM generate_series({first}, {last}) n WHERE n % 10 = 1;
INSERT INTO a2a_tasks (task_id, owner, dialect, context_id, client_task_id)
SELECT 'old-' || lpad(n::text, 10, '0'), 'o' || n % 50, '1.0', 'talk-' || n / 20, 'mine-' || n
FROM generate_series({first}, {last}) n WHERE n % 10 = 1;
INSERT INTO a2a_messages (task_id, number, message)
SELECT 'old-' || lpad(n::text, 10, '0'), 1, '{{"messageId":"m"}}'
FROM generate_series({first}, {last}) n WHERE n % 10 = 1;
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq, done)
SELECT 'old-' || lpad(n::text, 10, '0'), 'a2a', 'x', 'o' || n % 50, 'https://e.example/', 'h' || n % 20, '{{}}', 4,
       true
FROM generate_series({first}, {last}) n WHERE n % 10 = 1;
INSERT INTO resource_changes (uri) SELECT 'asya://old/' || n FROM generate_series({first}, {last}) n WHERE n % 10 = 1;
INSERT INTO mcp_sessions (key, transport, owner, source, revision, used_at)
SELECT sha256(n::text::bytea), 'http', 'o' || n / 100 % 50, '', '2025-11-25', now() - n % 500000 * interval '1 second'
FROM generate_series({first}, {last}) n WHERE n % 100 = 1;
INSERT INTO mcp_calls (session, request, task_id, call)
SELECT sha256(n::text::bytea), substr(sha256(n::text::bytea), 1, 16), 'old-' || lpad(n::text, 10, '0'), '{{}}'
FROM generate_series({first}, {last}) n WHERE n % 1000 = 1
"""
_OPEN_ONES = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at, deadline_at)
SELECT 'open-' || lpad(n::text, 10, '0'), 'o' || n % 50, 'shout', 'rest', 'running',
       '{{"prev":[],"curr":"a","next":[]}}', 2, now() - interval '1 hour', now(),
       now() + interval '1 day' + n * interval '1 s'
FROM generate_series({first}, {last}) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'open-' || lpad(n::text, 10, '0'), seq, 'progress', 'running', 50, '{{}}', now()
FROM generate_series({first}, {last}) n CROSS JOIN generate_series(1, 2) seq;
INSERT INTO task_hops (task_id, hop, attempt, claimant, state, lease_until)
SELECT 'open-' || lpad(n::text, 10, '0'), '0', 1, 'w', 'claimed', now() + interval '1 day'
FROM generate_series({first}, {last}) n;
INSERT INTO task_bodies (task_id, kind, body)
SELECT 'open-' || lpad(n::text, 10, '0'), 'payload', '{{}}' FROM generate_series({first}, {last}) n;
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq)
SELECT 'open-' || lpad(n::text, 10, '0'), 'a2a', 'x', 'o' || n % 50, 'https://e.example/', 'h' || n % 20, '{{}}', 2
FROM generate_series({first}, {last}) n;
INSERT INTO outbox (task_id, actor, body, not_before, created_at)
SELECT 'open-' || lpad(n::text, 10, '0'), 'actor-' || n % 20, 'x', now() + interval '1 day', now()
FROM generate_series({first}, {last}) n
"""
_CHUNK = 1_000_000
"""Most tasks of one statement."""
OLD = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at, finished_at, ended_as)
SELECT 'gone-' || gen_random_uuid(), '', 'shout', 'rest', 'succeeded', '{}', 4, at, at, at, 'succeeded'
FROM generate_series(1, 200) n CROSS JOIN (SELECT now() - interval '100 days' AS at) s
"""
"""Tasks that retention removes."""


def ended_tasks(first: int, last: int) -> list[str]:
    """Statements that insert ended tasks with these numbers, and everything beside them."""
    chunks = range(first, last + 1, _CHUNK)
    return [
        statement.format(first=begin, last=min(last, begin + _CHUNK - 1))
        for begin in chunks
        for statement in (_ENDED, *_BESIDE.split(";"))
    ]


def open_tasks(first: int, last: int) -> list[str]:
    """Statements that insert open tasks with these numbers: each is worked on, has a destination that waits for what
    comes, and an envelope that the queue system has refused."""
    return [statement.format(first=first, last=last) for statement in _OPEN_ONES.split(";")]

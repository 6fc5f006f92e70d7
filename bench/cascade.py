"""How fast the descendants of an ended task are ended, and how long a call takes meanwhile."""

import json
import time
from contextlib import closing

from bench.figures import Figure, Target, median, percentile
from bench.stage import Stage
from bench.stories import Client
from servers.databases import execute, query

DESCENDANTS, QUICK_DESCENDANTS = 300_000, 20_000
SECONDS = 120.0
"""Most seconds for the end of DESCENDANTS."""
CALL_EVERY = 0.05
"""Seconds between two calls meanwhile."""

# Children as announced to mesh: unordered ids, created shortly after one another.
_CHILDREN = (
    """INSERT INTO tasks (id, parent_id, owner, flow, surface, status, route, deadline_at, created_at, updated_at)
    SELECT gen_random_uuid()::text, '{root}', '', 'echo', 'rest', 'running', '{{"prev":[],"curr":"a","next":[]}}',
           now() + interval '1 day', now() + n * interval '1 ms', now()
    FROM generate_series(1, {count}) n""",
    """INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT id, 1, 'created', 'pending', 0, '{{"message":"Task created"}}', now() FROM tasks
    WHERE parent_id = '{root}'""",
    "ANALYZE",
    "CHECKPOINT",
)
_LEFT = "SELECT EXISTS (SELECT FROM tasks WHERE parent_id IS NOT NULL AND finished_at IS NULL)"
_FINALS = "SELECT count(*) FROM task_updates WHERE kind = 'final' AND task_id <> '{root}'"


def cascade(stage: Stage) -> list[Figure]:
    """One task with many children is canceled while calls are made one after the other."""
    count = QUICK_DESCENDANTS if stage.effort.quick else DESCENDANTS
    with stage.database() as url, stage.gateway("api", url) as api, closing(Client(api)) as client:
        root = client.submit()
        execute(url, *(statement.format(root=root, count=count) for statement in _CHILDREN))
        cpu, begin = sum(stage.servers_cpu().values()), time.monotonic()
        client.post(f"/tasks/{root}/cancel", json.dumps({}))
        answered = time.monotonic() - begin
        calls = []
        while query(url, _LEFT):
            at = time.monotonic()
            client.submit()
            calls.append((time.monotonic() - at) * 1e3)
            time.sleep(CALL_EVERY)
        seconds = time.monotonic() - begin
        used = sum(stage.servers_cpu().values()) - cpu
        ended = query(url, _FINALS.format(root=root))
    return [
        Figure(
            name="descendants ended",
            value=count / seconds,
            unit="/s",
            target=Target(DESCENDANTS / SECONDS),
            broken="" if ended == count else f"{count} descendants have {ended} ends",
            notes=(
                f"{count:,} in {seconds:.1f} s, of which the cancel was answered after {answered:.2f} s; "
                f"CPU a descendant: PostgreSQL {used / count * 1e6:.0f} us",
                f"a call meanwhile: median {median(calls):.1f} ms, p99 {percentile(calls, 0.99):.1f} ms",
            ),
        )
    ]

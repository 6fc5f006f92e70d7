"""How an api process bears open streams, and logs with many updates."""

import json
import resource
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from bench.figures import median, percentile
from bench.load import NOW, Plan, run_load
from bench.readers import Readers, Reading
from bench.scale.tables import Growth, Table
from bench.stage import GatewayProcess, Stage
from bench.stories import submit_many
from bench.streams import EVENTS_PER_SECOND, held_open
from servers.databases import execute

_BODY = {"prev": [], "curr": "bench-first", "next": ["bench-second"], "status": "processing"}


@dataclass(frozen=True, slots=True)
class _Open:
    kilobytes: float
    idle: float
    cpu_us: float
    p50: float
    p99: float
    missing: int


def streams(stage: Stage, sizes: Sequence[int]) -> Table:
    """Streams of as many tasks at one api process, and 200 updates a second among them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    found = []
    for size in sizes:
        with stage.database() as url, stage.gateway("api", url) as api, stage.gateway("mesh", url) as mesh:
            found.append(_open(stage, api, mesh, size))
        stage.say(f"  {size:,} streams: {found[-1]}")
    table = Table("Open streams", "open streams at one api process", sizes)
    table.lines += [
        Growth("memory of each, kB", [f"{each.kilobytes:.1f}" for each in found]),
        Growth("idle, share of a core", [f"{each.idle:.1%}" for each in found]),
        Growth("CPU of the api an update, us", [f"{each.cpu_us:.0f}" for each in found]),
        Growth("delivery p50, ms", [f"{each.p50:.1f}" for each in found]),
        Growth("delivery p99, ms", [f"{each.p99:.1f}" for each in found]),
    ]
    if any(each.missing for each in found):
        table.notes.append(f"BROKEN: updates that did not arrive: {[each.missing for each in found]}")
    table.notes.append(f"{EVENTS_PER_SECOND:.0f} updates a second; the idle share is already taken off their CPU")
    return table


def _open(stage: Stage, api: GatewayProcess, mesh: GatewayProcess, count: int) -> _Open:
    with held_open(api, count) as (readers, ids, each):
        idle_from, cpu = time.monotonic(), api.cpu_seconds
        time.sleep(5.0)
        idle = (api.cpu_seconds - cpu) / (time.monotonic() - idle_from)
        requests = [(f"/mesh/{id}/progress", json.dumps(_BODY | {"message": f"@{NOW}@"})) for id in ids]
        began, cpu = time.monotonic(), api.cpu_seconds
        outcome = run_load(Plan(mesh.port, requests, 16, stage.effort.seconds, 1.0, rate=EVENTS_PER_SECOND))
        time.sleep(1.5)
        used = api.cpu_seconds - cpu - idle * (time.monotonic() - began)
        report = readers.report()
    return _Open(
        each,
        idle,
        used / max(1, outcome.accepted) * 1e6,
        median(report.delays_ms),
        percentile(report.delays_ms, 0.99),
        outcome.accepted - len(report.delays_ms),
    )


_UPDATES = """
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT '{id}', n, 'progress', 'running', 50,
       '{{"prev":[],"curr":"bench-first","next":[],"task_state":"processing","message":"working on it"}}', now()
FROM generate_series(2, {count}) n;
UPDATE tasks SET last_seq = {count}, status = 'running' WHERE id = '{id}'
"""
REPLAYS = 20
_UPDATE = b"event: update\n"


def updates(stage: Stage, sizes: Sequence[int]) -> Table:
    """A log of so many updates: reading it from the beginning, and following what is added."""
    replay, replay_cpu, p50, p99, cpu = [], [], [], [], []
    with stage.database() as url, stage.gateway("api", url) as api, stage.gateway("mesh", url) as mesh:
        for size in sizes:
            [task_id] = submit_many(api, 1)
            execute(url, *_UPDATES.format(id=task_id, count=size).split(";"), "VACUUM ANALYZE task_updates")
            used = api.cpu_seconds
            replay.append(median([_replay(api, task_id, size) for _ in range(REPLAYS)]))
            replay_cpu.append((api.cpu_seconds - used) / REPLAYS / size * 1e6)
            delays, each = _follow(stage, api, mesh, task_id)
            p50.append(median(delays))
            p99.append(percentile(delays, 0.99))
            cpu.append(each)
            stage.say(f"  {size:,} updates: replay {replay[-1]:.1f} ms")
    table = Table("Updates of a task", "updates in the log", sizes)
    table.lines += [
        Growth("replay of all, ms", [f"{value:.1f}" for value in replay]),
        Growth("replay, CPU of the api an update, us", [f"{value:.0f}" for value in replay_cpu]),
        Growth("one more: delivery p50, ms", [f"{value:.1f}" for value in p50], p50),
        Growth("one more: delivery p99, ms", [f"{value:.1f}" for value in p99]),
        Growth("one more: CPU of the api, us", [f"{value:.0f}" for value in cpu]),
    ]
    table.notes.append("one reader; the updates that are followed come 50 a second")
    return table


def _replay(api: GatewayProcess, task_id: str, count: int) -> float:
    """Milliseconds from the request to the last update."""
    began = time.monotonic()
    with closing(socket.create_connection(("127.0.0.1", api.port), 30)) as connection:
        connection.sendall(f"GET /stream/{task_id} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        seen, rest = 0, b""
        while seen < count:
            data = connection.recv(262144)
            if not data:
                raise RuntimeError(f"the stream ended after {seen} of {count} updates")
            text = rest + data
            seen += text.count(_UPDATE)
            rest = text[-len(_UPDATE) + 1 :]
        return (time.monotonic() - began) * 1e3


def _follow(stage: Stage, api: GatewayProcess, mesh: GatewayProcess, task_id: str) -> tuple[list[float], float]:
    request = (f"/mesh/{task_id}/progress", json.dumps(_BODY | {"message": f"@{NOW}@"}))
    with Readers(Reading(api.port, [f"/stream/{task_id}"], "update")) as readers:
        time.sleep(1.0)
        cpu = api.cpu_seconds
        outcome = run_load(Plan(mesh.port, [request], 4, stage.effort.seconds / 4, 0.5, rate=50.0))
        time.sleep(0.5)
        used = api.cpu_seconds - cpu
        report = readers.report()
    return report.delays_ms, used / max(1, outcome.accepted) * 1e6

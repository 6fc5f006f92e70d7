"""Figures 5 and 6: thousands of open streams, and live events to one reader and to a hundred."""

import contextlib
import json
import resource
import time
from collections.abc import Iterator

from bench.figures import Figure, Target, median, percentile
from bench.load import NOW, Plan, run_load
from bench.readers import Readers, Reading, Report
from bench.stage import GatewayProcess, Stage
from bench.stories import submit_many

STREAMS, QUICK_STREAMS = 2_000, 200
EVENTS_PER_SECOND = 200.0
MEMORY_LIMIT_KB = 34.0
"""Memory of a stream in the Go gateway."""
TOKEN = json.dumps({"payload": {"type": "text_delta", "text": "and so "}})
FLY_CONNECTIONS = 32


@contextlib.contextmanager
def held_open(api: GatewayProcess, count: int) -> Iterator[tuple[Readers, list[str], float]]:
    """So many open streams, each of a task of its own: their readers, the tasks, and each stream's memory in kB."""
    ids = submit_many(api, count)
    # Memory that the process allocates once (pools, caches, code) must not count for the streams.
    with Readers(Reading(api.port, [f"/stream/{task_id}" for task_id in ids[:50]], "update")):
        pass
    time.sleep(1.0)
    before = api.memory
    with Readers(Reading(api.port, [f"/stream/{task_id}" for task_id in ids], "update")) as readers:
        time.sleep(1.0)
        yield readers, ids, (api.memory - before) / count / 1024


def open_streams(stage: Stage) -> list[Figure]:
    """Memory of each stream, and the delay of events while all are open."""
    count = QUICK_STREAMS if stage.effort.quick else STREAMS
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with (
        stage.database() as url,
        stage.gateway("api", url) as api,
        stage.gateway("mesh", url) as mesh,
        held_open(api, count) as (readers, ids, each),
    ):
        body = {"prev": [], "curr": "bench-first", "next": ["bench-second"], "status": "processing"}
        requests = [(f"/mesh/{task_id}/progress", json.dumps(body | {"message": f"@{NOW}@"})) for task_id in ids]
        cpu = api.cpu_seconds
        outcome = run_load(Plan(mesh.port, requests, 16, stage.effort.seconds, 1.0, rate=EVENTS_PER_SECOND))
        used = (api.cpu_seconds - cpu) / (outcome.seconds + 1.0)
        time.sleep(1.5)
        report = readers.report()
    broken = outcome.problem
    if len(report.delays_ms) != outcome.accepted:
        broken = f"{outcome.accepted} events were sent, {len(report.delays_ms)} arrived"
    return [
        Figure(
            name=f"memory of a stream, {count} open",
            value=each,
            unit="kB",
            peer="Go gateway: 34 kB",
            target=Target(MEMORY_LIMIT_KB, most=True),
        ),
        Figure(
            name=f"delivery p99, {count} streams, {outcome.per_second:.0f} events/s",
            value=percentile(report.delays_ms, 0.99),
            unit="ms",
            broken=broken,
            notes=(f"median {median(report.delays_ms):.1f} ms; the api process used {used:.0%} of a core",),
        ),
    ]


def fly(stage: Stage) -> list[Figure]:
    """Live events posted to the mesh process as fast as it accepts them, and read from the api process."""
    with stage.database() as url, stage.gateway("api", url) as api, stage.gateway("mesh", url) as mesh:
        return [_fly(stage, api, mesh, 1), _fly(stage, api, mesh, 100)]


def _fly(stage: Stage, api: GatewayProcess, mesh: GatewayProcess, readers: int) -> Figure:
    [task_id] = submit_many(api, 1)
    effort = stage.effort
    with Readers(Reading(api.port, [f"/stream/{task_id}"] * readers, "partial")) as reading:
        plan = Plan(mesh.port, [(f"/mesh/{task_id}/fly", TOKEN)], FLY_CONNECTIONS, effort.seconds / 2, 0.5)
        cpu = api.cpu_seconds, mesh.cpu_seconds
        outcome = run_load(plan)
        time.sleep(1.0)
        spent = api.cpu_seconds - cpu[0], mesh.cpu_seconds - cpu[1]
        report = reading.report()
    sent = outcome.accepted
    return Figure(
        name=f"FLY to {readers} reader{'s' if readers > 1 else ''}",
        value=report.events / report.seconds if report.seconds else 0.0,
        unit="events/s",
        broken=outcome.problem,
        notes=(
            f"{outcome.per_second:,.0f} events/s were taken, a reader got {_share(report, readers, sent):.1%} of them; "
            f"CPU an event: mesh {spent[1] / max(1, sent) * 1e6:.0f} us, api {spent[0] / max(1, sent) * 1e6:.0f} us",
        ),
    )


def _share(report: Report, readers: int, sent: int) -> float:
    return report.events / (sent * readers) if sent else 0.0

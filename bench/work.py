"""Finished work: tasks that were submitted before their workers started, from the first end to the last."""

import asyncio
import contextlib
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import asyncpg

from bench.clouds import CLOUDS, Cloud
from bench.confirms import Broker
from bench.figures import Figure, Target, median, paired_ratio
from bench.load import Outcome, Plan, run_load
from bench.rows import ARGUMENTS
from bench.stage import CONNECTIONS, Stage
from bench.work_handlers import FAN_OUT
from bench.work_peers import celery_per_second, procrastinate_per_second
from bench.work_programs import Deployment, Place, gateways, workers
from servers.databases import execute, query

TASKS, QUICK_TASKS = 20_000, 500
LONGEST = 300.0
"""Seconds after which a run is given up."""
LOOK_EVERY = 0.25
WAIT = "Prefer: wait=30"

FINISHED = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at, deadline_at, finished_at,
                   ended_as)
SELECT 'old-' || n, 'o' || n % 50, 'one', 'rest', 'succeeded', '{}', 5, now() - n * interval '1 second', now(),
       now() + interval '1 day', now(), 'succeeded'
FROM generate_series(1, 200000) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'old-' || n, seq, 'progress', 'running', 1, '{}', now()
FROM generate_series(1, 200000) n, generate_series(1, 5) seq;
INSERT INTO task_hops (task_id, hop, attempt, claimant, state, lease_until)
SELECT 'old-' || n, '0', 1, 'w', 'completed', now() FROM generate_series(1, 200000) n;
INSERT INTO task_bodies (task_id, kind, body)
SELECT 'old-' || n, kind, '{"text":"hi"}' FROM generate_series(1, 200000) n, unnest(ARRAY['payload', 'result']) kind;
VACUUM ANALYZE
"""

_OURS = "t.id NOT LIKE 'old-%'"
_ENDED = f"SELECT count(*) FROM tasks t WHERE {_OURS} AND finished_at IS NOT NULL"
_OPEN = "SELECT count(*) FROM (SELECT FROM tasks WHERE finished_at IS NULL ORDER BY deadline_at LIMIT 1) first"
"""By the index of deadlines. To count all of them again and again was a tenth of the work of the measured server."""
_CLOCK = f"""
SELECT count(*), extract(epoch FROM max(finished_at) - min(finished_at))::float8 FROM tasks t WHERE {_OURS}
"""
_KINDS = f"""
SELECT coalesce(json_object_agg(kind, count), '{{}}') FROM (
    SELECT CASE WHEN t.status = 'succeeded' AND u.entries = t.last_seq AND u.last = t.last_seq
                THEN u.entries::text ELSE 'wrong' END AS kind, count(*)
    FROM tasks t LEFT JOIN (
        SELECT task_id, count(*) AS entries, max(seq) AS last FROM task_updates GROUP BY task_id
    ) u ON u.task_id = t.id WHERE {_OURS} GROUP BY 1
) kinds
"""
"""Tasks by their number of log entries; `wrong` are those that did not succeed or whose log has gaps."""


def _emptied(cloud: type[Cloud], stage: Stage, tasks: int) -> float:
    return cloud(stage).worked_per_second(tasks)


@dataclass(frozen=True, slots=True)
class Story:
    """One kind of work. `entries`: the numbers of log entries that a task may have; without the
    reports route, an end may come before the report that a hop was completed, which is then not taken any more.
    `rate` and `cpu` are the least tasks a second and the most ms of CPU a task, where there is a bound."""

    name: str
    rate: float | None
    cpu: float | None = None
    transport: str = "postgres"
    flow: str = "one"
    actors: Mapping[str, str] = field(default_factory=lambda: {"bench-first": "echo"})
    settings: Mapping[str, str] = field(default_factory=dict)
    entries: tuple[int, ...] = (5, 4)
    per_call: int = 1
    """Tasks that a call becomes."""
    peers: Mapping[str, float | None] = field(default_factory=dict)
    """Other task queues, and the least ratio to the rate of each, where there is a bound."""
    finished: bool = False
    """Whether 200,000 finished tasks are in the tables."""


CELERY, PROCRASTINATE = "Celery, RabbitMQ", "procrastinate, PostgreSQL"
BARE = {name: f"{cloud.client}, received and deleted" for name, cloud in CLOUDS.items()}
PEERS: Mapping[str, Callable[[Stage, int], float]] = {
    CELERY: celery_per_second,
    PROCRASTINATE: procrastinate_per_second,
    **{BARE[name]: partial(_emptied, cloud) for name, cloud in CLOUDS.items()},
}
THREE = {"bench-first": "echo", "bench-second": "echo", "bench-third": "echo"}
ONE_AT_A_TIME = {"ASYA_ACTOR_CONCURRENCY": "1"}
PLAIN = {"bench-first": "plain"}
STORIES = {
    "work-postgres": Story("work, postgres", 3_000, 0.5, peers={CELERY: 0.8, PROCRASTINATE: 5.0}),
    "work-rabbitmq": Story("work, rabbitmq", 2_200, 0.8, transport="rabbitmq", peers={CELERY: 0.6}),
    "work-one": Story("work, postgres, concurrency 1", 400, 2.2, settings=ONE_AT_A_TIME),
    "work-one-rabbitmq": Story("work, rabbitmq, concurrency 1", 400, 2.2, transport="rabbitmq", settings=ONE_AT_A_TIME),
    "work-plain": Story("work, postgres, plain handler", 400, actors=PLAIN),
    "work-plain-16": Story(
        "work, postgres, plain handler, concurrency 16",
        1_500,
        actors=PLAIN,
        settings={"ASYA_ACTOR_CONCURRENCY": "16"},
    ),
    "work-three": Story("work, postgres, three actors", 1_000, flow="three", actors=THREE, entries=(11, 10, 9, 8)),
    "work-three-rabbitmq": Story(
        "work, rabbitmq, three actors", 500, transport="rabbitmq", flow="three", actors=THREE, entries=(11, 10, 9, 8)
    ),
    "work-fan-out": Story(
        f"work, postgres, fan-out to {FAN_OUT}",
        2_000,
        flow="two",
        actors={"bench-first": "split", "bench-second": "echo"},
        entries=(5, 8, 4, 7, 6),
        per_call=FAN_OUT,
    ),
}


def _beside_finished(story: Story) -> Story:
    """The same where the tables hold 200,000 finished tasks: at least 0.85x of the figure without them."""
    rate = None if story.rate is None else story.rate * 0.85
    return replace(
        story, name=f"{story.name}, beside 200,000 finished tasks", rate=rate, cpu=None, peers={}, finished=True
    )


STORIES |= {f"work-{name}": Story(f"work, {name}", None, transport=name, peers={BARE[name]: None}) for name in CLOUDS}
"""A stand-in says nothing of its cloud's speed, so that only the ratio to a client that does no work is told."""
BESIDE_FINISHED = {
    f"{name}-beside-finished": _beside_finished(story)
    for name, story in STORIES.items()
    if story.transport == "postgres"
}


@dataclass(slots=True)
class Results:
    """What the runs of a story measured; CPU in ms a task, by kind of process."""

    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    totals: list[float] = field(default_factory=list)
    logs: list[dict[str, int]] = field(default_factory=list)
    """Of each run, tasks by the number of entries of their logs."""
    problems: list[str] = field(default_factory=list)

    def add_cpu(self, before: Mapping[str, float], after: Mapping[str, float], tasks: int) -> None:
        """CPU seconds used so far, before and after so many tasks."""
        used = {kind: (seconds - before.get(kind, 0.0)) / max(1, tasks) * 1e3 for kind, seconds in after.items()}
        for kind, each in used.items():
            self.cpu[kind].append(each)
        self.totals.append(sum(used.values()))

    @property
    def note(self) -> str:
        """CPU a task by process."""
        shares = ", ".join(f"{kind} {median(values):.2f}" for kind, values in self.cpu.items())
        return f"CPU a task {median(self.totals):.2f} ms: {shares}; tasks by entries of their logs: {self.logs}"


def measured(story: Story) -> Callable[[Stage], list[Figure]]:
    """The benchmark of a story."""
    return lambda stage: _figures(stage, story)


def _figures(stage: Stage, story: Story) -> list[Figure]:
    results = Results()
    tasks = QUICK_TASKS if stage.effort.quick else TASKS
    peers = [partial(PEERS[name], stage, tasks) for name in story.peers]
    rates, *others = stage.interleaved(lambda: _run(stage, story, results), *peers)
    problems = "; ".join(results.problems)
    figures = [
        Figure(
            story.name,
            median(rates),
            "/s",
            target=None if story.rate is None else Target(story.rate),
            notes=(results.note,),
            broken=problems,
            details={"runs": rates, "cpu_ms": dict(results.cpu)},
        )
    ]
    if story.cpu is not None:
        bound = Target(story.cpu, most=True)
        figures.append(Figure(f"{story.name}: CPU a task", median(results.totals), "ms", target=bound, broken=problems))
    for (name, least), found in zip(story.peers.items(), others, strict=True):
        figures.append(
            Figure(
                f"{story.name}, beside {name}",
                median(rates),
                "/s",
                peer=name,
                peer_value=median(found),
                ratio=paired_ratio(rates, found),
                target=None if least is None else Target(least),
                broken=problems,
                details={"runs": rates, "peer_runs": found},
            )
        )
    return figures


def _run(stage: Stage, story: Story, results: Results) -> float:
    """Tasks finished a second."""
    calls = (QUICK_TASKS if stage.effort.quick else TASKS) // story.per_call
    deployment = Deployment(stage)
    with placed(stage, story.transport) as place, gateways(stage, place, deployment, "mesh", "api") as port:
        if story.finished:
            execute(place.database_url, *FINISHED.split(";\n"))
        body = json.dumps({"name": story.flow, "arguments": ARGUMENTS})
        outcome = run_load(Plan(port, [("/tools/call", body)], CONNECTIONS, LONGEST, 0.0, total=calls))
        if outcome.accepted != calls:
            raise RuntimeError(f"{outcome.accepted} of {calls} calls were accepted; {outcome.problem}")
        with workers(stage, place, deployment, story.actors, story.settings):
            tasks, seconds = asyncio.run(_watch(place.database_url, calls * story.per_call, deployment, results))
        logs = json.loads(query(place.database_url, _KINDS))
    results.logs.append(logs)
    if tasks != calls * story.per_call or not set(logs) <= set(map(str, story.entries)):
        results.problems.append(f"{tasks} of {calls * story.per_call} tasks ended; entries of their logs: {logs}")
    return (tasks - 1) / seconds if seconds else math.nan


def blocking(stage: Stage) -> list[Figure]:
    """Calls that wait for their result: one after the other, in one process and in two, and 64 at a time."""
    one = _waiting(stage, "testing", connections=1)
    apart = _waiting(stage, "mesh", "api", connections=1)
    many = _waiting(stage, "mesh", "api", connections=CONNECTIONS)
    at_a_time = f"blocking calls, {CONNECTIONS} connections"
    return [
        _latency("blocking call, one process, p50", one, one.p50_ms, 5),
        _latency("blocking call, api and mesh apart, p50", apart, apart.p50_ms, 7),
        Figure(at_a_time, many.per_second, "/s", target=Target(1_500), broken=many.problem),
        _latency(f"{at_a_time}, p99", many, many.p99_ms, 120),
    ]


def _latency(name: str, outcome: Outcome, value: float, most: float) -> Figure:
    notes = (f"p50 {outcome.p50_ms:.1f} ms, p99 {outcome.p99_ms:.1f} ms, {outcome.per_second:.0f}/s",)
    return Figure(name, value, "ms", target=Target(most, most=True), broken=outcome.problem, notes=notes)


def _waiting(stage: Stage, *modes: str, connections: int) -> Outcome:
    """Calls with `Prefer: wait`, as fast as they are answered."""
    deployment, effort = Deployment(stage), stage.effort
    body = json.dumps({"name": "one", "arguments": ARGUMENTS})
    call, actors = [("/tools/call", body)], {"bench-first": "echo"}
    with (
        placed(stage, "postgres") as place,
        gateways(stage, place, deployment, *modes) as port,
        workers(stage, place, deployment, actors, {}),
    ):
        run_load(Plan(port, call, connections, 30.0, 0.0, total=1, headers=[WAIT]))  # until the worker has started
        return run_load(Plan(port, call, connections, effort.seconds, effort.warm_up, headers=[WAIT]))


@contextlib.contextmanager
def placed(stage: Stage, transport: str) -> Iterator[Place]:
    """An empty database, and the queues: in it, or in a virtual host of its own."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(stage.database())
        variables = {"ASYA_TRANSPORT": transport}
        if transport == "rabbitmq":
            variables["ASYA_RABBITMQ_URL"] = stack.enter_context(Broker(stage).queue())
        elif transport in CLOUDS:
            variables |= stack.enter_context(CLOUDS[transport](stage).queue())
        yield Place(url, variables)


async def _watch(url: str, tasks: int, deployment: Deployment, results: Results) -> tuple[int, float]:
    """Wait from the first end to the last; returns the number of ended tasks, and the seconds between."""
    until = time.monotonic() + LONGEST
    connection = await asyncpg.connect(url)
    try:
        while not (before := await connection.fetchval(_ENDED)):
            await _pause(until, 0.02)
        used = deployment.cpu()
        while await connection.fetchval(_OPEN) or await connection.fetchval(_ENDED) < tasks:
            await _pause(until, LOOK_EVERY)
        results.add_cpu(used, deployment.cpu(), tasks - before)
        [clock] = await connection.fetch(_CLOCK)
        return clock[0], clock[1]
    finally:
        await connection.close()


async def _pause(until: float, seconds: float) -> None:
    if time.monotonic() > until:
        raise RuntimeError(f"the work was not finished within {LONGEST:g} s")
    await asyncio.sleep(seconds)

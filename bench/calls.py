"""Figures 1 and 2: calls accepted per second, in a burst and for as long as one likes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.confirms import Broker
from bench.figures import Figure, Target, median, paired_ratio
from bench.load import Outcome, Plan, run_load
from bench.pgbench import run_pgbench
from bench.rows import CALL, create_script
from bench.stage import ENTRYPOINT, GatewayProcess, Stage
from tests.servers.databases import query

CONNECTIONS = 64
AGE_LIMIT = 1.0
"""Seconds: the oldest outbox row at the end of a run that counts as sustained."""


@dataclass(slots=True)
class Runs:
    """What the runs of the gateway left behind."""

    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Microseconds of the gateway's CPU a call."""
    load_cpu: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, gateway_cpu: float) -> None:
        """One run's outcome; `gateway_cpu` in seconds over all its requests."""
        self.rates.append(outcome.per_second)
        self.p50.append(outcome.p50_ms)
        self.p99.append(outcome.p99_ms)
        self.cpu.append(gateway_cpu / max(1, outcome.accepted) * 1e6)
        self.load_cpu.append(outcome.cpu_seconds / max(1, outcome.ok) * 1e6)
        if outcome.problem:
            self.problems.append(outcome.problem)

    @property
    def notes(self) -> tuple[str, ...]:
        """Latency and CPU, for whoever asks what limits the figure."""
        return (
            f"latency p50 {median(self.p50):.1f} ms, p99 {median(self.p99):.1f} ms; "
            f"CPU a call: gateway {median(self.cpu):.0f} us, load generator {median(self.load_cpu):.0f} us",
        )


def burst(stage: Stage) -> list[Figure]:
    """Accepted means committed with its outbox row; the broker takes the envelopes meanwhile."""
    runs = Runs()
    peer = _pgbench(stage, outbox=True)
    mine, others = stage.interleaved(lambda: _with_rabbitmq(stage, runs, sustained=False), peer)
    return [_figure("burst", runs, mine, others, "pgbench, same rows")]


def sustained(stage: Stage) -> list[Figure]:
    """The same rate, held: everything confirmed, the outbox no older than a second at the end."""
    runs = Runs()
    broker = Broker(stage)
    mine, others = stage.interleaved(lambda: _with_rabbitmq(stage, runs, sustained=True), broker.confirmed_per_second)
    return [_figure("sustained, rabbitmq", runs, mine, others, "aio-pika, confirmed")]


def sustained_postgres(stage: Stage) -> list[Figure]:
    """With the postgres transport an accepted call is enqueued already."""
    runs = Runs()
    mine, others = stage.interleaved(lambda: _with_postgres(stage, runs), _pgbench(stage, outbox=False))
    return [_figure("sustained, postgres", runs, mine, others, "pgbench, same rows")]


def _figure(name: str, runs: Runs, mine: list[float], others: list[float], peer: str) -> Figure:
    return Figure(
        name=name,
        value=median(mine),
        unit="/s",
        peer=peer,
        peer_value=median(others),
        ratio=paired_ratio(mine, others),
        target=Target(0.8),
        notes=runs.notes,
        broken="; ".join(runs.problems),
        details={"runs": mine, "peer_runs": others},
    )


def _pgbench(stage: Stage, *, outbox: bool) -> Callable[[], float]:
    def run() -> float:
        with stage.database() as url:
            return run_pgbench(url, create_script(outbox=outbox), seconds=stage.effort.seconds, clients=CONNECTIONS)

    return run


def _load(stage: Stage, gateway: GatewayProcess, runs: Runs) -> Outcome:
    effort = stage.effort
    before = gateway.cpu_seconds
    plan = Plan(gateway.port, [("/tools/call", CALL)], CONNECTIONS, effort.seconds, effort.warm_up)
    outcome = run_load(plan)
    runs.add(outcome, gateway.cpu_seconds - before)
    return outcome


def _with_postgres(stage: Stage, runs: Runs) -> float:
    with stage.database() as url, stage.gateway("api", url) as gateway:
        outcome = _load(stage, gateway, runs)
        found = query(url, "SELECT count(*) FROM queue_messages")
        if found != outcome.accepted:
            runs.problems.append(f"{outcome.accepted} calls were accepted, {found} messages stand in the queue")
        return outcome.per_second


def _with_rabbitmq(stage: Stage, runs: Runs, *, sustained: bool) -> float:
    broker = Broker(stage)
    with stage.database() as url, broker.queue() as amqp_url:
        variables = {"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": amqp_url}
        with stage.gateway("api", url, **variables) as gateway:
            outcome = _load(stage, gateway, runs)
            age = float(query(url, "SELECT extract(epoch FROM now() - min(created_at)) FROM outbox") or 0.0)
            if sustained and age > AGE_LIMIT:
                runs.problems.append(f"the oldest outbox row was {age:.1f} s old at the end")
            left = _drained(url)
            if left:
                runs.problems.append(f"{left} envelopes were never confirmed")
        found = broker.depth(amqp_url, ENTRYPOINT)
        if found < outcome.accepted:
            runs.problems.append(f"{outcome.accepted} calls were accepted, {found} messages stand in the queue")
        return outcome.per_second


def _drained(url: str, patience: float = 60.0) -> int:
    """Rows of the outbox once it is empty, or after `patience` seconds."""
    until = time.monotonic() + patience
    while (left := int(query(url, "SELECT count(*) FROM outbox"))) and time.monotonic() < until:
        time.sleep(0.2)
    return left

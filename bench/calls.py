"""Figures 1 and 2: calls accepted per second, in a burst and sustained."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from bench.clouds import CLOUDS, Cloud
from bench.confirms import Broker
from bench.figures import Figure, median, paired_ratio
from bench.load import Outcome, Plan, run_load
from bench.pgbench import Script, run_pgbench
from bench.rows import CALL, create_statement, create_transaction
from bench.runs import TARGET, Runs, compared, written
from bench.stage import CONNECTIONS, ENTRYPOINT, GatewayProcess, Stage
from servers.databases import execute, query

AGE_LIMIT = 1.0
"""Most seconds of age of the oldest outbox row at the end of a sustained run."""


def burst(stage: Stage) -> list[Figure]:
    """Accepted means committed with its outbox row. The broker takes the envelopes at the same time."""
    runs = Runs()
    mine, *peers = stage.interleaved(lambda: _with_rabbitmq(stage, runs, sustained=False), *_pgbench(stage, True))
    return [written("burst", runs, mine, *peers)]


def sustained(stage: Stage) -> list[Figure]:
    """The same, sustained: everything is confirmed, and the outbox is no older than a second at the end."""
    runs = Runs()
    broker = Broker(stage)
    mine, others = stage.interleaved(lambda: _with_rabbitmq(stage, runs, sustained=True), broker.confirmed_per_second)
    return [compared("sustained, rabbitmq", runs, mine, "aio-pika, confirmed", others)]


def sustained_postgres(stage: Stage) -> list[Figure]:
    """With the postgres transport, an accepted call is already enqueued."""
    runs = Runs()
    mine, *peers = stage.interleaved(lambda: _with_postgres(stage, runs), *_pgbench(stage, False))
    return [written("sustained, postgres", runs, mine, *peers)]


def _pgbench(stage: Stage, outbox: bool) -> list[Callable[[], float]]:
    scripts = (create_transaction(outbox=outbox), create_statement(outbox=outbox))
    return [partial(_transactions, stage, script) for script in scripts]


def _transactions(stage: Stage, script: Script) -> float:
    with stage.database() as url:
        return run_pgbench(url, script, seconds=stage.effort.seconds, clients=CONNECTIONS)


def _load(stage: Stage, gateway: GatewayProcess, runs: Runs) -> Outcome:
    effort = stage.effort
    with runs.watching(stage, gateway) as watched:
        watched.outcome = run_load(
            Plan(gateway.port, [("/tools/call", CALL)], CONNECTIONS, effort.seconds, effort.warm_up)
        )
    return watched.outcome


def sustained_cloud(transport: str) -> Callable[[Stage], list[Figure]]:
    """The same on the stand-in of a cloud's queue system, beside the cloud's own client."""

    def measured(stage: Stage) -> list[Figure]:
        runs, cloud = Runs(), CLOUDS[transport](stage)
        rivals = cloud.rivals
        mine, *others = stage.interleaved(lambda: _with_cloud(stage, runs, cloud), *(rival.run for rival in rivals))
        figures = [
            compared(f"sustained, {transport}", runs, mine, rival.name, found)
            for rival, found in zip(rivals, others, strict=True)
        ]
        return [
            figure if rival.judged else replace(figure, target=None, notes=())
            for figure, rival in zip(figures, rivals, strict=True)
        ]

    return measured


def published_cloud(transport: str) -> Callable[[Stage], list[Figure]]:
    """Messages that the transport confirms beside the cloud's own client with the same batches: what the transport
    itself adds."""

    def measured(stage: Stage) -> list[Figure]:
        ours, client = CLOUDS[transport](stage), CLOUDS[transport](stage)
        mine, others = stage.interleaved(ours.published_per_second, client.confirmed_per_second)
        return [
            Figure(
                f"publish, {transport}",
                median(mine),
                "/s",
                peer=client.client,
                peer_value=median(others),
                ratio=paired_ratio(mine, others),
                target=TARGET,
                notes=(f"CPU a message: {median(ours.cpu):.0f} us, the client by itself {median(client.cpu):.0f} us",),
                details={"runs": mine, "peer_runs": others},
            )
        ]

    return measured


DECLARED = f"""
INSERT INTO queues (name, namespace, actor, max_deliveries)
VALUES ('asya-default-{ENTRYPOINT}', 'default', '{ENTRYPOINT}', 5)
"""
"""What a worker does at its start. A queue that nobody has declared is missing: each of its tasks is told so."""


def _with_postgres(stage: Stage, runs: Runs) -> float:
    with stage.database() as url:
        execute(url, DECLARED)
        return _into_queue(stage, url, runs)


def _into_queue(stage: Stage, url: str, runs: Runs) -> float:
    with stage.gateway("api", url) as gateway:
        outcome = _load(stage, gateway, runs)
        found = query(url, "SELECT count(*) FROM queue_messages")
        if found != outcome.accepted:
            runs.problems.append(f"{outcome.accepted} calls were accepted, {found} messages stand in the queue")
        return outcome.per_second


def _with_rabbitmq(stage: Stage, runs: Runs, *, sustained: bool) -> float:
    broker = Broker(stage)
    with broker.queue() as amqp_url:
        variables = {"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": amqp_url}
        return _confirmed(stage, runs, variables, lambda: broker.depth(amqp_url, ENTRYPOINT), sustained=sustained)


def _with_cloud(stage: Stage, runs: Runs, cloud: Cloud) -> float:
    with cloud.queue(drained=True) as variables:
        return _confirmed(stage, runs, variables, lambda: cloud.arrived(variables), sustained=True)


def _confirmed(
    stage: Stage, runs: Runs, variables: Mapping[str, str], arrived: Callable[[], int], *, sustained: bool
) -> float:
    """Calls a second whose envelopes all arrive in the queue."""
    with stage.database() as url:
        with stage.gateway("api", url, **variables) as gateway:
            outcome = _load(stage, gateway, runs)
            age = float(query(url, "SELECT extract(epoch FROM now() - min(created_at)) FROM outbox") or 0.0)
            if sustained and age > AGE_LIMIT:
                runs.problems.append(f"the oldest outbox row was {age:.1f} s old at the end")
            left = _drained(url)
            if left:
                runs.problems.append(f"{left} envelopes were never confirmed")
        found = arrived()
        if found < outcome.accepted:
            runs.problems.append(f"{outcome.accepted} calls were accepted, {found} messages came to the queue")
        return outcome.per_second


def _drained(url: str, patience: float = 60.0) -> int:
    """Rows of the outbox once it is empty, or after `patience` seconds."""
    until = time.monotonic() + patience
    while (left := int(query(url, "SELECT count(*) FROM outbox"))) and time.monotonic() < until:
        time.sleep(0.2)
    return left

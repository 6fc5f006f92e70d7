"""What many pods cost their one PostgreSQL: the bell, the registry, heartbeats, polls and connections."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg
import psutil

from bench.figures import median, percentile
from bench.scale.flows import flow_named
from bench.scale.pod_crowd import BELL, REGISTRY, Crowds, Heard
from bench.scale.tables import Growth, Table
from bench.stage import DURABLE, Stage, cpu_of_family
from servers.databases import create_template, query
from servers.postgres import PostgresServer
from servers.processes import family

RATES = (10, 100)
"""Notifications a second. A bell of a busy gateway rings at most 200 times a second, for all of its tasks together."""
SECONDS = 5.0
AS_FAST = 400
"""Notifications that are sent one after the other."""
FLOWS = 1_000
PUSHES = 3
_ROW = """
UPDATE registry SET generation = generation + 1, resources = $1::json
"""


@dataclass(slots=True)
class _Measured:
    rung: dict[int, Heard]
    sent: dict[int, float]
    """Notifications a second, which are fewer than asked for where a session cannot send so many."""
    cpu: dict[int, float]
    """Milliseconds of PostgreSQL's CPU for a notification."""
    fastest: float
    behind: float
    read: list[float]
    read_cpu: float
    beats: float
    beat_ms: list[float]
    beat_cpu: float
    kilobytes: float
    lost: int


def pods(stage: Stage, sizes: Sequence[int]) -> Table:
    """Sessions that listen, as many as there are pods."""
    table = Table("Pods", "sessions that listen", sizes)
    found = []
    with _server(max(sizes)) as server:
        for size in sizes:
            found.append(asyncio.run(_measure(server, size)))
            stage.say(f"  {size:,} pods: {found[-1].fastest:,.0f} notifications/s")
    for rate in RATES:
        heard = [each.rung[rate].heard for each in found]
        table.lines += [
            Growth(f"{rate} notifications/s: sent, /s", [f"{each.sent[rate]:.0f}" for each in found]),
            Growth(f"{rate} notifications/s: heard, p50, ms", [f"{median(each):.1f}" for each in heard]),
            Growth(f"{rate} notifications/s: heard, p99, ms", [f"{percentile(each, 0.99):.1f}" for each in heard]),
            Growth(
                f"{rate} notifications/s: PostgreSQL's CPU for each, ms", [f"{each.cpu[rate]:.2f}" for each in found]
            ),
        ]
    table.lines += [
        Growth("notifications/s of one session, at most", [f"{each.fastest:,.0f}" for each in found]),
        Growth("then the last is heard after, ms", [f"{each.behind:,.0f}" for each in found]),
        Growth(f"every pod reads {FLOWS:,} flows: the last has them, ms", [f"{max(each.read):,.0f}" for each in found]),
        Growth("the same, seconds of PostgreSQL's CPU", [f"{each.read_cpu:.2f}" for each in found]),
        Growth("heartbeats/s", [f"{each.beats:,.0f}" for each in found]),
        Growth("heartbeat p99, ms", [f"{percentile(each.beat_ms, 0.99):.1f}" for each in found]),
        Growth("heartbeats: cores of PostgreSQL", [f"{each.beat_cpu:.2f}" for each in found]),
        Growth("memory of a session in PostgreSQL, kB", [f"{each.kilobytes:,.0f}" for each in found]),
    ]
    lost = [each.lost for each in found]
    table.notes.append(f"notifications that were not heard: {lost}" + (" BROKEN" if any(lost) else ""))
    table.notes += _idle(stage)
    return table


@contextlib.contextmanager
def _server(pods: int) -> Iterator[PostgresServer]:
    server = PostgresServer(settings={**DURABLE, "max_connections": str(pods + 50)}, on_disk=True)
    try:
        server.start()
        create_template(server.url, "pods")
        yield server
    finally:
        server.close()


async def _measure(server: PostgresServer, size: int) -> _Measured:
    url = server.database("pods")
    empty = _memory(server)
    with Crowds(url, size) as crowd:
        kilobytes = (_memory(server) - empty) / size / 1024
        ringing = await asyncpg.connect(url, server_settings={"synchronous_commit": "off"})
        try:
            rung, rates, cost, lost = {}, {}, {}, 0
            for rate in RATES:
                crowd.order("measure")
                cpu, began = cpu_of_family(server.pid), time.monotonic()
                sent = await _ring(ringing, rate)
                rates[rate] = sent / (time.monotonic() - began)
                rung[rate] = await _settled(crowd, sent * size)
                cost[rate] = (cpu_of_family(server.pid) - cpu) / sent * 1e3
                lost += sent * size - len(rung[rate].heard)
            crowd.order("measure")
            began = time.monotonic()
            for _ in range(AS_FAST):
                await _notify(ringing, BELL)
            fastest = AS_FAST / (time.monotonic() - began)
            behind = max((await _settled(crowd, AS_FAST * size)).heard)
            read, read_cpu = await _pushed(server, crowd, ringing, size)
        finally:
            await ringing.close()
        crowd.order("beat")
        await asyncio.sleep(2.5)
        crowd.order("measure")
        cpu, began = cpu_of_family(server.pid), time.monotonic()
        await asyncio.sleep(SECONDS)
        heard, seconds = crowd.heard(), time.monotonic() - began
        beat_cpu = (cpu_of_family(server.pid) - cpu) / seconds
    return _Measured(
        rung,
        rates,
        cost,
        fastest,
        behind,
        read,
        read_cpu,
        heard.beats / seconds,
        heard.beat_ms,
        beat_cpu,
        kilobytes,
        lost,
    )


async def _ring(connection: asyncpg.Connection, rate: int) -> int:
    sent, began = 0, time.monotonic()
    while (due := began + sent / rate) < began + SECONDS:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await _notify(connection, BELL)
        sent += 1
    return sent


async def _notify(connection: asyncpg.Connection, channel: str) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", channel, str(time.monotonic_ns()))


async def _settled(crowd: Crowds, expected: int, what: str = "heard") -> Heard:
    """What was heard, as soon as everything was, or after half a minute."""
    until = time.monotonic() + 30
    while True:
        found = crowd.heard()
        if len(getattr(found, what)) >= expected or time.monotonic() > until:
            return found
        await asyncio.sleep(0.2)


async def _pushed(
    server: PostgresServer, crowd: Crowds, connection: asyncpg.Connection, size: int
) -> tuple[list[float], float]:
    """(ms until each pod had the row, CPU of PostgreSQL a push)."""
    flows = ",".join(_entry(number) for number in range(FLOWS))
    crowd.order("measure")
    cpu, found = cpu_of_family(server.pid), Heard()
    for number in range(1, PUSHES + 1):
        await connection.execute(_ROW, f'{{"flows":[{flows}],"problems":[]}}')
        await _notify(connection, REGISTRY)
        found = await _settled(crowd, number * size, "read")
    return found.read, (cpu_of_family(server.pid) - cpu) / PUSHES


def _entry(number: int) -> str:
    name = f"flow-{number}"
    return json.dumps({"source": f"Flow/default/{name}", "flow": flow_named(name)})


def _memory(server: PostgresServer) -> int:
    """Memory of the server's processes that they share with none, in bytes."""
    total = 0
    for process in family(server.pid):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().uss
    return total


_STATEMENTS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
IDLE = 15.0


def _idle(stage: Stage) -> list[str]:
    """What one idle pod of each mode asks of the database."""
    notes = []
    for mode in ("api", "mesh"):
        with stage.database() as url, stage.gateway(mode, url):
            time.sleep(5.0)
            before, cpu = query(url, _STATEMENTS), cpu_of_family(stage.postgres.pid)
            sessions = query(url, "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()")
            time.sleep(IDLE)
            each = (query(url, _STATEMENTS) - before) / IDLE
            used = (cpu_of_family(stage.postgres.pid) - cpu) / IDLE
            notes.append(
                f"an idle {mode} pod: {each:.1f} transactions/s, {used:.1%} of a core of PostgreSQL, "
                f"{sessions} sessions"
            )
    return notes

"""One run: a deployment, its callers at a steady rate, a controller that breaks things, and the verdict."""

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil

from servers.databases import execute
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitNode
from tests.chaos.checker import Verdict, judge
from tests.chaos.clients import Clients
from tests.chaos.controller import Controller
from tests.chaos.records import Records, read
from tests.chaos.world import ChaosWorld
from tests.support.waiting import lasts

MOST_UNDER_WAY = 400
REST = 300.0
"""Seconds in which everything comes to rest after the last fault."""
FILES_MORE = 80
"""Open files that a process may have more at rest after the run than before it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` of load with faults, at `rate` calls a second; `pause` seconds between two faults."""

    transport: str
    seconds: float
    rate: float
    pause: float
    seed: int
    folder: Path


@dataclass
class Outcome:
    """What a run gave."""

    verdict: Verdict
    calls: int
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


async def run(plan: Plan) -> Outcome:
    """Run the plan. Raises AssertionError if the deployment does not start."""
    began = time.monotonic()
    async with _deployed(plan) as world:
        path = plan.folder / "clients.jsonl"
        records = Records(path)
        files = _files(world)
        controller = Controller(world, plan.seed)
        clients = Clients(world.api.url, records)
        try:
            until = time.monotonic() + plan.seconds
            await asyncio.gather(clients.run(until, plan.rate, MOST_UNDER_WAY), controller.run(until - 10, plan.pause))
            unfinished = await clients.drained(REST)
            resting = await _at_rest(world.direct_url)
        finally:
            await clients.close()
            records.close()
        kept = list(read(path))
        verdict = await judge(world.direct_url, kept)
        if unfinished:
            verdict.problems.append(f"{unfinished} clients did not come to an end")
        if not resting:
            verdict.problems.append(f"tasks were open {REST:g} s after the last fault")
        verdict.problems += _leaks(world, files)
        events = Counter(f"{record.kind} {record.event}" for record in kept)
        return Outcome(verdict, clients.begun, controller.counts, events, time.monotonic() - began)


@contextlib.asynccontextmanager
async def _deployed(plan: Plan) -> AsyncIterator[ChaosWorld]:
    postgres = PostgresServer()
    rabbit = RabbitNode() if plan.transport == "rabbitmq" else None
    try:
        postgres.start()
        execute(postgres.url, "CREATE DATABASE faults")
        url = ""
        if rabbit is not None:
            rabbit.start()
            url = rabbit.create_vhost(f"chaos-{uuid.uuid4().hex[:8]}")
        world = ChaosWorld(plan.folder, postgres, rabbit, url)
        try:
            await world.up()
            yield world
        finally:
            await world.close()
    finally:
        if rabbit is not None:
            rabbit.close()
        postgres.close()


async def _at_rest(database_url: str) -> bool:
    """Wait until nothing is open and nothing waits to be sent."""
    until = time.monotonic() + REST
    while time.monotonic() < until:
        connection = await asyncpg.connect(database_url)
        try:
            left = await connection.fetchval(
                "SELECT (SELECT count(*) FROM tasks WHERE finished_at IS NULL) + (SELECT count(*) FROM outbox)"
                " + (SELECT count(*) FROM queue_messages)"
            )
        finally:
            await connection.close()
        if not left:
            return True
        await lasts(1)
    return False


def _files(world: ChaosWorld) -> dict[str, int]:
    """Open files and connections of each process."""
    found = {}
    for name, process in world.processes.items():
        if process.running is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                found[name] = psutil.Process(process.running.pid).num_fds()
    return found


def _leaks(world: ChaosWorld, before: dict[str, int]) -> list[str]:
    after = _files(world)
    missing = [f"{name} does not run any more" for name in before.keys() - after.keys()]
    grown = [
        f"{name} has {after[name]} open files, {before[name]} before the run"
        for name in before.keys() & after.keys()
        if after[name] > before[name] + FILES_MORE
    ]
    return missing + grown

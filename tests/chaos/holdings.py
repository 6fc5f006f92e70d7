"""What each process holds at rest: connections, files, asyncio tasks. What it holds more after a run is leaked."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from servers.observed import ready_file, tasks_file
from tests.chaos.world import ClosedWorld
from tests.support.waiting import until

POOL = 10
"""Connections to the database that a process may have more: a pool keeps what it needed for minutes."""
QUEUES = 2
"""Connections to the queue system that it may have more: the one for publishing is opened when it is first needed, and
on a slow machine the one for receiving may come late."""
POLLED_IN_TURN = 6
"""The same for SQS: aiohttp uses the idle connection that was idle longest, so that polls of 2 s keep as many as come
round within the 12 s after which aiobotocore closes idle ones."""
CONNECTIONS = 4
"""Other connections that it may have more: of those that it uses again, some are open at a time."""
FILES = 4
TASKS = 10
"""asyncio tasks that it may have more. Each connection of a client and each message under way is one."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Of one process. `tasks`: how many there are of each coroutine."""

    to_database: int = 0
    to_queues: int = 0
    other_connections: int = 0
    files: int = 0
    tasks: Mapping[str, int] = field(default_factory=dict)


async def level(world: ClosedWorld) -> dict[str, Holdings]:
    """Those of all processes when each has begun what it does all the time."""
    last: dict[str, Holdings] = {}

    async def found() -> bool:
        nonlocal last
        before, last = last, await holdings(world)
        return all(each.tasks for each in last.values()) and not (leaks(before, last) or leaks(last, before))

    await until(found, 120, "processes that have begun")
    return last


async def holdings(world: ClosedWorld) -> dict[str, Holdings]:
    """Those of all processes that run."""
    running = {name: each.running.pid for name, each in world.processes.items() if each.running is not None}
    found = {name: await _of(world, pid) for name, pid in running.items() if psutil.pid_exists(pid)}
    return {name: each for name, each in found.items() if each is not None}


async def _of(world: ClosedWorld, pid: int) -> Holdings | None:
    try:
        tasks = await _tasks(world.observed, pid)
        process = psutil.Process(pid)
        peers = Counter(each.raddr.port for each in process.net_connections("tcp") if each.raddr)
        descriptors = process.num_fds()
    except psutil.NoSuchProcess:
        return None
    to_database = _at(peers, (proxy.port for proxy in world.to_databases))
    to_queues = _at(peers, () if world.to_broker is None else (world.to_broker.port,))
    connections = peers.total()
    return Holdings(to_database, to_queues, connections - to_database - to_queues, descriptors - connections, tasks)


def _at(peers: Mapping[int, int], ports: Iterable[int]) -> int:
    return sum(peers.get(port, 0) for port in ports)


async def _tasks(folder: Path, pid: int) -> Mapping[str, int]:
    await until(ready_file(folder, pid).exists, 60, f"process {pid} can be asked")
    file = tasks_file(folder, pid)
    file.unlink(missing_ok=True)
    psutil.Process(pid).send_signal(signal.SIGUSR2)
    await until(lambda: file.exists() or not psutil.pid_exists(pid), 60, f"the tasks of process {pid}")
    found: Mapping[str, int] = await asyncio.to_thread(lambda: json.loads(file.read_text()))
    return found


def leaks(before: Mapping[str, Holdings], after: Mapping[str, Holdings], to_queues: int = QUEUES) -> list[str]:
    """What is wrong, in words: which processes are gone, and which hold more than before. `to_queues`: connections to
    the queue system that a process may have more."""
    gone = [f"{name} does not run any more" for name in before.keys() - after.keys()]
    return gone + [
        f"{name} {told}"
        for name in sorted(before.keys() & after.keys())
        for told in _more(before[name], after[name], to_queues)
    ]


def _more(before: Holdings, after: Holdings, to_queues: int) -> Iterable[str]:
    counted = (
        ("connections to the database", before.to_database, after.to_database, POOL),
        ("connections to the queue system", before.to_queues, after.to_queues, to_queues),
        ("other connections", before.other_connections, after.other_connections, CONNECTIONS),
        ("open files", before.files, after.files, FILES),
    )
    for what, then, now, margin in counted:
        if now > then + margin:
            yield f"has {now} {what}, {then} before the run"
    if sum(after.tasks.values()) > sum(before.tasks.values()) + TASKS:
        more = Counter(after.tasks)
        more.subtract(before.tasks)
        told = ", ".join(f"{count} {name}" for name, count in more.most_common(5) if count > 0)
        yield f"has {sum(after.tasks.values())} asyncio tasks, {sum(before.tasks.values())} before the run: {told}"

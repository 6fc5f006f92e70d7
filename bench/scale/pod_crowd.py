"""Many pods as their database sees them, in one process: each a session that listens, and that reads the registry's row
and beats when it is told to.

`python -m bench.scale.pod_crowd` reads a Crowd as JSON from the first line of standard input and prints "ready". Each
further line is an order: `measure` forgets what was heard, `beat` begins the heartbeats, `report` prints a Heard, and
the end of the input ends it.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Self

import asyncpg

BELL, REGISTRY = "asya_updates", "asya_registry"
BEAT_EVERY = 2.0
AT_ONCE = 20
"""Sessions that connect at a time."""
_READ = "SELECT generation, configmap, resources FROM registry"
_BEAT = """
INSERT INTO gateway_pods AS pod (name, mode, generation, open, started_at, heartbeat_at)
VALUES ($1, 'api', 1, true, clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE SET mode = excluded.mode, generation = excluded.generation, open = excluded.open,
    heartbeat_at = excluded.heartbeat_at
RETURNING (SELECT generation FROM registry)
"""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Pods with numbers from `first` on."""

    url: str
    pods: int
    first: int = 0


@dataclass(slots=True)
class Heard:
    """Milliseconds from a notification, whose payload is the time of sending (CLOCK_MONOTONIC in ns), until a session
    heard it, and until it had read the registry's row; and the beats that were answered."""

    heard: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    beats: int = 0
    beat_ms: list[float] = field(default_factory=list)


class _Pods:
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._sessions: list[asyncpg.Connection] = []
        self._locks: list[asyncio.Lock] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = Heard()

    async def run(self) -> None:
        slots = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._connect(slots) for _ in range(self._crowd.pods)))
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while order := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            if order == "measure":
                self._heard = Heard()
            elif order == "beat":
                for number in range(len(self._sessions)):
                    self._spawn(self._beat(number))
            else:
                print(json.dumps(asdict(self._heard)), flush=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for session in self._sessions:
            session.terminate()

    async def _connect(self, slots: asyncio.Semaphore) -> None:
        async with slots:
            session = await asyncpg.connect(self._crowd.url, timeout=60)
            number = len(self._sessions)
            self._sessions.append(session)
            self._locks.append(asyncio.Lock())
            await session.add_listener(BELL, self._on_bell)
            await session.add_listener(REGISTRY, lambda *args: self._spawn(self._read(number, str(args[3]))))

    def _on_bell(self, *args: object) -> None:
        self._heard.heard.append((time.monotonic_ns() - int(str(args[3]))) / 1e6)

    async def _read(self, number: int, sent: str) -> None:
        async with self._locks[number]:
            await self._sessions[number].fetchrow(_READ)
        self._heard.read.append((time.monotonic_ns() - int(sent)) / 1e6)

    async def _beat(self, number: int) -> None:
        # Real pods have begun at different times.
        await asyncio.sleep(BEAT_EVERY * number / len(self._sessions))
        for _ in count():
            began = time.monotonic()
            async with self._locks[number]:
                await self._sessions[number].fetchval(_BEAT, f"pod-{self._crowd.first + number}")
            self._heard.beats += 1
            self._heard.beat_ms.append((time.monotonic() - began) * 1e3)
            await asyncio.sleep(max(0.0, began + BEAT_EVERY - time.monotonic()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Crowds:
    """Processes with so many pods together, seen from the benchmark."""

    def __init__(self, url: str, pods: int, processes: int = 2) -> None:
        shares = [pods // processes + (number < pods % processes) for number in range(processes)]
        self._processes: list[subprocess.Popen[str]] = []
        first = 0
        for share in filter(None, shares):
            command = [sys.executable, "-m", "bench.scale.pod_crowd"]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._processes.append(process)
            _tell(process, json.dumps(asdict(Crowd(url, share, first))))
            first += share
        for process in self._processes:
            if _line(process) != "ready":
                raise RuntimeError("the pods could not connect")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def order(self, word: str) -> None:
        """`measure` or `beat`, to all of them."""
        for process in self._processes:
            _tell(process, word)

    def heard(self) -> Heard:
        """What all of them have heard since `measure`."""
        self.order("report")
        found = [Heard(**json.loads(_line(process))) for process in self._processes]
        return Heard(
            [ms for each in found for ms in each.heard],
            [ms for each in found for ms in each.read],
            sum(each.beats for each in found),
            [ms for each in found for ms in each.beat_ms],
        )


def _tell(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


if __name__ == "__main__":
    asyncio.run(_Pods(Crowd(**json.loads(sys.stdin.readline()))).run())

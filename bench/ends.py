"""Figure 4: from a terminal report on the mesh process to the result on an api process's stream."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing

import asyncpg

from bench.figures import Figure, Target, median, percentile
from bench.readers import Readers, Reading
from bench.stage import GatewayProcess, Stage
from bench.stories import Client, submit_many

TRIALS, QUICK_TRIALS = 400, 100
WARM_UP = 20
"""Ends that are not counted, because the first ones use new connections and plans."""
CHANNEL = "bench_bell"


def terminal(stage: Stage) -> list[Figure]:
    """Ends and bare notifications alternate in blocks of ten, so that both run under the same conditions."""
    trials = QUICK_TRIALS if stage.effort.quick else TRIALS
    with stage.database() as url, stage.gateway("api", url) as api, stage.gateway("mesh", url) as mesh:
        ids = submit_many(api, WARM_UP + trials)
        ends: list[float] = []
        bells: list[float] = []
        with closing(Client(mesh)) as client, closing(Bells(url)) as bell:
            bell.measure(WARM_UP)
            _delays(api, client, ids[:WARM_UP])
            for start in range(WARM_UP, WARM_UP + trials, 10):
                block = ids[start : start + 10]
                bells += bell.measure(len(block))
                ends += _delays(api, client, block)
    return [
        Figure(
            name="end to stream, median",
            value=median(ends),
            unit="ms",
            peer="NOTIFY round trip, two processes",
            peer_value=median(bells),
            ratio=median(ends) / median(bells),
            target=Target(4.0, most=True),
            broken="" if len(ends) == trials else f"{len(ends)} of {trials} ends arrived",
            notes=(f"p99 {percentile(ends, 0.99):.1f} ms, of the NOTIFY {percentile(bells, 0.99):.1f} ms",),
        )
    ]


def _delays(api: GatewayProcess, client: Client, block: Sequence[str]) -> list[float]:
    """Milliseconds from the report of each task's end to its reader."""
    with Readers(Reading(api.port, [f"/stream/{task_id}" for task_id in block], "update")) as readers:
        for task_id in block:
            _end(client, task_id)
            time.sleep(0.01)
        return readers.wait().delays_ms


def _end(client: Client, task_id: str) -> None:
    now = time.monotonic_ns()
    body = {"id": task_id, "status": "succeeded", "result": {"answer": f"@{now:020d}@"}}
    client.post(f"/mesh/{task_id}/final", json.dumps(body))


class Bells:
    """The peer: this process notifies another, which notifies back. Half of the round trip is the time of one
    notification. `measure` returns the whole round trip, as in the target."""

    def __init__(self, url: str) -> None:
        self._echo = subprocess.Popen([sys.executable, "-m", "bench.ends", url], stdout=subprocess.PIPE, text=True)
        assert self._echo.stdout is not None
        self._echo.stdout.readline()
        self._url = url

    def close(self) -> None:
        """End the other process."""
        self._echo.kill()
        self._echo.wait()
        if self._echo.stdout is not None:
            self._echo.stdout.close()

    def measure(self, count: int) -> list[float]:
        """Milliseconds of each of so many round trips."""
        return asyncio.run(_round_trips(self._url, count))


async def _round_trips(url: str, count: int) -> list[float]:
    heard = asyncio.Event()
    listener, sender = await asyncpg.connect(url), await asyncpg.connect(url)
    with contextlib.ExitStack() as stack:
        stack.callback(listener.terminate)
        stack.callback(sender.terminate)
        await listener.add_listener(f"{CHANNEL}_back", lambda *_: heard.set())
        found = []
        for _ in range(count):
            heard.clear()
            begin = time.monotonic_ns()
            await sender.execute(f"SELECT pg_notify('{CHANNEL}', '')")
            await heard.wait()
            found.append((time.monotonic_ns() - begin) / 1e6)
            await asyncio.sleep(0.01)
    return found


async def _echo(url: str) -> None:
    listener, sender = await asyncpg.connect(url), await asyncpg.connect(url)
    heard = asyncio.Event()
    await listener.add_listener(CHANNEL, lambda *_: heard.set())
    print("ready", flush=True)
    while True:
        await heard.wait()
        heard.clear()
        await sender.execute(f"SELECT pg_notify('{CHANNEL}_back', '')")


if __name__ == "__main__":
    asyncio.run(_echo(sys.argv[1]))

"""What a large body takes at the worst moment of its way, measured at a process of its own, against what it weighs."""

import functools
import json
import os
import secrets
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asya_gateway.protocols.http.bodies import VALUE_WEIGHT, WEIGHT
from asya_gateway.storage.tasks import reading
from servers.ports import free_port
from servers.processes import family, spawn, stop_process, wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc"),
    pytest.mark.timeout(120),
]

FLOWS = "flows:\n- {name: idle, entrypoint: nobody, timeout: 10m, mcp: {}}\n"
SIZE = 6_000_000
NOISE = 6_000_000
"""Bytes that a process takes for any request: arenas, buffers of connections, a first plan."""
FINAL = '{"status":"succeeded","result":%s}'
BLOB = secrets.token_hex(SIZE // 2)
"""No compression makes it small."""


@dataclass
class Measured:
    """A gateway in a process of its own."""

    url: str
    pid: int

    def peak_of(self, work: Callable[[], Any]) -> int:
        """Bytes by which it, and the process that decodes for it, grew at most meanwhile."""
        before = {pid: _status(pid, "VmRSS") for pid in self._pids()}
        for pid in before:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        work()
        return sum(_status(pid, "VmHWM") - before.get(pid, 0) for pid in self._pids())

    def _pids(self) -> list[int]:
        return [process.pid for process in family(self.pid)]

    def send(self, path: str, body: str | None = None) -> Any:
        """The answer's document."""
        data = None if body is None else body.encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=60) as answer:
            return json.loads(answer.read())

    def call(self, arguments: str) -> str:
        """The id of a new task."""
        answer = self.send("/tools/call", f'{{"name":"idle","arguments":{arguments}}}')
        return str(json.loads(answer["content"][0]["text"])["task_id"])


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


@contextmanager
def serving(database_url: str, folder: Path) -> Iterator[Measured]:
    (folder / "flows.yaml").write_text(FLOWS)
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ASYA_")} | {
        "ASYA_GATEWAY_MODE": "testing",
        "ASYA_GATEWAY_HOST": "127.0.0.1",
        "ASYA_GATEWAY_PORT": str(port),
        "ASYA_METRICS_PORT": "0",
        "ASYA_DATABASE_URL": database_url,
        "ASYA_TRANSPORT": "postgres",
        "ASYA_CONFIG_PATH": str(folder / "flows.yaml"),
        "ASYA_DRAIN_TIMEOUT": "1",
        # An allocator that gives nothing back would hide the second of two peaks.
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "MALLOC_MMAP_THRESHOLD_": "65536",
    }
    log = folder / "log"
    with log.open("wb") as out:
        process = spawn([sys.executable, "-m", "asya_cli", "serve"], env=environment, stdout=out, stderr=out)
    measured = Measured(f"http://127.0.0.1:{port}", process.pid)

    def ready() -> bool:
        try:
            urllib.request.urlopen(f"{measured.url}/health/ready", timeout=2).close()
        except OSError:
            return False
        return True

    try:
        wait_until(ready, 40, "the gateway was not ready", log)
        yield measured
    finally:
        stop_process(process, signal.SIGTERM, 15)


PAYLOADS = {
    "one string": json.dumps({"text": BLOB}),
    "escaped": json.dumps({"text": '\\"' * (SIZE // 4)}),
    "a list": json.dumps({"values": ["x" * (SIZE // 10_000 - 4)] * 10_000}),
}
VALUES = 500_000


def within(what: str, peak: int, weight: int) -> str | None:
    """What is wrong, for the test to tell all of it."""
    return None if peak <= weight + NOISE else f"{what} took {peak:,} bytes and weighs {weight:,}"


def test_the_way_of_a_large_body_takes_no_more_than_it_weighs(database_url: str, tmp_path: Path) -> None:
    found = []
    many = '{"values":[' + "1," * VALUES + "1]}"
    with serving(database_url, tmp_path) as gateway:
        # Code, plans, connections and the process that decodes documents of many values are nobody's weight.
        gateway.call(many)
        tasks = [gateway.call("{}") for _ in range(len(PAYLOADS) + 3)]
        for task_id, (name, payload) in zip(tasks, PAYLOADS.items(), strict=False):
            peak = gateway.peak_of(functools.partial(gateway.call, payload))
            found.append(within(f"a call with {name}", peak, WEIGHT * len(payload)))
            final = functools.partial(gateway.send, f"/mesh/{task_id}/final", FINAL % payload)
            found.append(within(f"a final with {name}", gateway.peak_of(final), WEIGHT * len(payload)))
            read = functools.partial(gateway.send, f"/tasks/{task_id}")
            found.append(within(f"reading {name}", gateway.peak_of(read), reading.WEIGHT * len(payload)))
        weight = VALUE_WEIGHT * VALUES + WEIGHT * len(many)
        found.append(within("a call of many values", gateway.peak_of(functools.partial(gateway.call, many)), weight))
        final = functools.partial(gateway.send, f"/mesh/{tasks[-1]}/final", FINAL % many)
        found.append(within("a final of many values", gateway.peak_of(final), weight))
    assert [wrong for wrong in found if wrong] == []

"""The environment of a benchmark: servers with durability enabled, databases, gateway processes, timing."""

import contextlib
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import psutil

from bench import pgbench
from servers.commits import ROOT, import_path
from servers.databases import execute
from servers.ports import free_port
from servers.postgres import PostgresServer
from servers.processes import family, spawn, stop_process, wait_until
from servers.pubsub import PubSubServer
from servers.rabbitmq import RabbitNode
from servers.sqs import CREDENTIALS, SqsServer, sqs_stand_in

DURABLE = {
    # Without it the figures are meaningless: accepted means that a crash of the machine loses nothing.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "on",
}

FLOWS = """\
flows:
- name: echo
  description: Says what it hears
  entrypoint: bench-first
  route_next: [bench-second, bench-third]
  timeout: 10m
  mcp:
    inputSchema:
      type: object
      properties:
        text: {type: string}
        count: {type: integer}
      required: [text]
"""
ENTRYPOINT = "bench-first"
SERVERS = {"postgres": "PostgreSQL", "rabbitmq": "RabbitMQ", "sqs": "SQS's stand-in", "pubsub": "Pub/Sub's stand-in"}
CONNECTIONS = 64
"""Connections of the callers, and of pgbench."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often each side of a pair runs, in seconds."""

    seconds: float = 20.0
    warm_up: float = 3.0
    rounds: int = 3
    quick: bool = False


FULL = Effort()
QUICK = Effort(seconds=3.0, warm_up=1.0, rounds=1, quick=True)


@dataclass(slots=True)
class GatewayProcess:
    """One running gateway."""

    process: "subprocess.Popen[bytes]"
    port: int
    mode: str

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> int:
        """Its unique memory in bytes (USS), so that shared libraries do not affect the difference."""
        return int(psutil.Process(self.process.pid).memory_full_info().uss)

    @property
    def cpu_seconds(self) -> float:
        """CPU time used so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


class Stage:
    """Servers start at their first use and end with the stage."""

    def __init__(self, effort: Effort, say: Callable[[str], None]) -> None:
        self.effort = effort
        self.say = say
        self._exits = contextlib.ExitStack()
        self.folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="asya-bench-")))
        (self.folder / "flows.yaml").write_text(FLOWS)
        self.tree = ROOT
        """The tree whose programs run: the working tree, or that of another commit."""
        self._peers = True
        self._templates: dict[Path, str] = {}

    @contextlib.contextmanager
    def alone(self, tree: Path) -> Iterator[None]:
        """During the block, this tree's programs run, and no peer."""
        self.tree, self._peers = tree, False
        try:
            yield
        finally:
            self.tree, self._peers = ROOT, True

    @property
    def import_path(self) -> str:
        """PYTHONPATH of the programs."""
        return import_path(self.tree)

    def close(self) -> None:
        """End everything."""
        self._exits.close()

    @cached_property
    def postgres(self) -> PostgresServer:
        """The server that the gateway and pgbench share."""
        server = PostgresServer(settings=DURABLE, on_disk=True)
        self._exits.callback(server.close)
        server.start()
        return server

    @cached_property
    def rabbitmq(self) -> RabbitNode:
        """The broker that the gateway and aio-pika share."""
        node = RabbitNode(on_disk=True)
        self._exits.callback(node.close)
        node.start()
        return node

    @cached_property
    def sqs(self) -> SqsServer:
        """Its stand-in. This process has credentials from then on."""
        server = sqs_stand_in()
        self.say(f"  {server.program} stands in for SQS")
        self._exits.callback(server.close)
        server.start()
        os.environ.update(CREDENTIALS)
        return server

    @cached_property
    def pubsub(self) -> PubSubServer:
        """Google's fake of Pub/Sub."""
        server = PubSubServer()
        self._exits.callback(server.close)
        server.start()
        return server

    @property
    def _template(self) -> str:
        """A database with the schema of the tree, created by its own code."""
        if self.tree not in self._templates:
            name = f"bench_template_{len(self._templates)}"
            code = f"from servers.databases import create_template; create_template({self.postgres.url!r}, {name!r})"
            environment = {**os.environ, "PYTHONPATH": import_path(self.tree, ROOT)}
            subprocess.run([sys.executable, "-c", code], env=environment, cwd=self.folder, check=True)
            self._templates[self.tree] = name
        return self._templates[self.tree]

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """An empty database with the schema. Earlier writes are flushed to disk first, so that no run pays for
        another."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        execute(self.postgres.url, f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"', "CHECKPOINT")
        try:
            yield self.postgres.database(name)
        finally:
            execute(self.postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)')

    @contextlib.contextmanager
    def gateway(self, mode: str, database_url: str, **variables: str) -> Iterator[GatewayProcess]:
        """A gateway process as a pod would run it, ready."""
        port = int(variables.setdefault("ASYA_GATEWAY_PORT", str(free_port())))
        environment = self.environment() | {
            "ASYA_GATEWAY_MODE": mode,
            "ASYA_GATEWAY_HOST": "127.0.0.1",
            "ASYA_METRICS_PORT": "0",
            "ASYA_DATABASE_URL": database_url,
            "ASYA_CONFIG_PATH": str(self.folder / "flows.yaml"),
            "ASYA_MESH_URL": "http://asya-gateway-mesh:8080",
            "ASYA_LOG_LEVEL": "error",
            "ASYA_DRAIN_TIMEOUT": "2",
            # Calls are measured here without anybody who works on them.
            "ASYA_OUTBOX_ROWS": "10000000",
            "ASYA_OUTBOX_ROWS_PER_ACTOR": "10000000",
            **variables,
        }
        log_path = self.folder / f"{mode}-{port}.log"
        with log_path.open("wb") as log:
            process = spawn([sys.executable, "-m", "asya_cli", "serve"], env=environment, stdout=log, stderr=log)
        gateway = GatewayProcess(process, port, mode)
        try:
            wait_until(lambda: _ready(gateway), 30, f"the {mode} process was not ready", log_path)
            yield gateway
        finally:
            stop_process(process, 15, 15)
            self.show(log_path)

    def environment(self, *more: Path) -> dict[str, str]:
        """The environment of a program of the tree, which can also import from these folders."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
        return kept | {"PYTHONPATH": os.pathsep.join([self.import_path, *map(str, more), *filter(None, sys.path)])}

    def show(self, log: Path, who: str = "gateway") -> None:
        """Tell the beginning of a program's log, which is empty if all went well."""
        lines = log.read_text(errors="replace").splitlines()
        for line in lines[:5]:
            self.say(f"  {who} said: {line[:200]}")

    def interleaved(self, *sides: Callable[[], float]) -> list[list[float]]:
        """Runs of each side in turn (A B A B …), for the effort's number of rounds; returns a list of rates for each
        side. With `alone` it is one run of the first side, and none of the others."""
        if not self._peers:
            return [[sides[0]()], *([math.nan] for _ in sides[1:])]
        found: list[list[float]] = [[] for _ in sides]
        for number in range(1, self.effort.rounds + 1):
            for rates, side in zip(found, sides, strict=True):
                rates.append(side())
            self.say(f"  round {number}: {' beside '.join(f'{rates[-1]:,.0f}' for rates in found)}")
        return found

    def servers_cpu(self) -> dict[str, float]:
        """CPU seconds used so far by each running server, including those of ended backends."""
        started = {title: self.__dict__[name] for name, title in SERVERS.items() if name in self.__dict__}
        return {title: cpu_of_family(server.pid) for title, server in started.items()}


def cpu_of_family(pid: int) -> float:
    """CPU seconds used so far by a process and its children, also by those that have ended."""
    total = 0.0
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _ready(gateway: GatewayProcess) -> bool:
    if gateway.process.poll() is not None:
        raise RuntimeError("the gateway ended while it started")
    return answers(f"{gateway.url}/health/ready")


def answers(url: str) -> bool:
    """Whether this URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def machine() -> dict[str, str]:
    """A description of the machine."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    packages = ("aiohttp", "asyncpg", "uvloop", "aiormq", "aio-pika")
    return {
        "cpu": f"{os.cpu_count()} x {model or platform.machine()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "pgbench": pgbench.version(),
        **{name: version(name) for name in packages},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _lines(path: str) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(path).read_text().splitlines()
    return []

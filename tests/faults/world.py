"""Real processes over one Postgres and one RabbitMQ, a load of calls and readers, and the audit after the fault."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aio_pika
import aiohttp
import asyncpg

from servers import forking
from servers.ports import free_port
from servers.postgres import PostgresServer
from servers.processes import spawn
from servers.rabbitmq import RabbitNode
from tests.faults.queues import Queues, in_database, in_rabbitmq, virtual_host
from tests.support.waiting import lasts, until

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACE = 0.15
"""Seconds between two calls of one caller."""
FLOWS = """
flows:
  - {name: work, entrypoint: first, routeNext: [second], timeout: 10m, mcp: {}}
  - {name: block, entrypoint: blocking, timeout: 10m, mcp: {}}
"""

CONFIRM = """
  - name: confirm
    entrypoint: first
    routeNext: [second]
    mcp:
      input:
        - go:
            elicitation:
              message: "Sure?"
              requestedSchema: {type: object, properties: {sure: {type: boolean}}, required: [sure]}
"""
"""A flow that asks before it starts, for the end of FLOWS."""


PROGRAM = [sys.executable, "-m", "asya_cli"]


@dataclass
class Process:
    """One of our programs, which a test may kill, stop and restart with the same settings."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    url: str = ""
    folder: Path = ROOT
    running: forking.Process | None = None

    def start(self) -> None:
        python, (module, *words) = self.command[:2], self.command[2:]
        with self.log.open("ab") as log:
            if python == PROGRAM[:2] and self.folder == ROOT:
                self.running = forking.start(module, *words, env=self.environment, stdout=log, stderr=log)
                return
            self.running = spawn(self.command, env=self.environment, stdout=log, stderr=log, cwd=str(self.folder))

    def signal(self, number: signal.Signals) -> None:
        assert self.running is not None
        self.running.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        assert self.running is not None
        self.running.wait(10)

    def end(self, patience: float = 45) -> None:
        if self.running is None or self.running.poll() is not None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.running.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> None:
        self.end()
        self.start()


@dataclass
class Reader:
    """What one follower saw."""

    task_id: str
    seqs: list[int] = field(default_factory=list)
    live: list[Any] = field(default_factory=list)
    final: dict[str, Any] | None = None


class World:
    """api and mesh as separate processes over one Postgres and RabbitMQ; workers and crew others."""

    flows = FLOWS
    workers: tuple[str, ...] = ("first", "second")
    program: Sequence[str] = PROGRAM
    handlers = HERE
    """The folder of handlers.py."""

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        rabbit: RabbitNode | None = None,
        rabbit_url: str = "",
        *,
        queues: Queues | None = None,
    ) -> None:
        """`queues`: where messages are; by default in the virtual host of `rabbit`, or else in the database."""
        self.folder = folder
        self.postgres = postgres
        self.rabbit = rabbit
        self.queues = queues or (in_database() if rabbit is None else in_rabbitmq(rabbit_url))
        self.database_url = postgres.database("faults")
        self.processes: dict[str, Process] = {}
        self.runs = folder / "runs"
        self.gate = folder / "gate"
        """A file that tasks called with `first_waits_for=str(gate)` wait for in their first hop."""
        self.accepted: dict[str, int] = {}
        self.answers: Counter[int | str] = Counter()
        self.readers: list[Reader] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    # Processes

    def environment(self, **more: Any) -> dict[str, str]:
        ours = {
            **self.queues.variables,
            "ASYA_DATABASE_URL": self.database_url,
            "ASYA_LOG_FORMAT": "text",
            "ASYA_METRICS_PORT": "0",
            "FAULTS_RUNS": str(self.runs),
            "PYTHONPATH": str(self.handlers),
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("ASYA_")}
        return {**clean, **ours, **{key: str(value) for key, value in more.items()}}

    def gateway(self, name: str, mode: str, **more: Any) -> Process:
        port = free_port()
        config = self.folder / "flows.yaml"
        config.write_text(self.flows)
        environment = self.environment(
            ASYA_GATEWAY_MODE=mode,
            ASYA_GATEWAY_HOST="127.0.0.1",
            ASYA_GATEWAY_PORT=port,
            ASYA_CONFIG_PATH=config,
            ASYA_POD_NAME=name,
            **({"ASYA_MESH_URL": self.processes["mesh"].url} if "mesh" in self.processes else {}),
            **more,
        )
        return self._begin(name, ["serve"], environment, f"http://127.0.0.1:{port}")

    def worker(self, actor: str, name: str | None = None, **more: Any) -> Process:
        environment = self.environment(
            ASYA_ACTOR_NAME=actor,
            ASYA_HANDLER=f"handlers.{actor}",
            ASYA_GATEWAY_URL=self.processes["mesh"].url,
            **{"ASYA_ACTOR_CONCURRENCY": 8, "ASYA_METRICS_PORT": -1, **more},
        )
        return self._begin(name or actor, ["actor"], environment)

    def crew(self, name: str = "crew", **more: Any) -> Process:
        environment = self.environment(ASYA_GATEWAY_URL=self.processes["mesh"].url, ASYA_METRICS_PORT=-1, **more)
        return self._begin(name, ["actor", "--crew"], environment)

    def _begin(self, name: str, arguments: list[str], environment: dict[str, str], url: str = "") -> Process:
        command = [*self.program, *arguments]
        process = Process(name, command, environment, self.folder / f"{name}.log", url)
        self.place(process)
        self.processes[name] = process
        process.start()
        return process

    def place(self, process: Process) -> None:
        """Called before a process starts: where a world of two versions says which one it is."""

    async def up(self, *, migrated: bool = False) -> None:
        """The usual world: mesh, api, a second api for readers, two workers and the crew."""
        if not migrated:
            self.migrate()
        self.gateway("mesh", "mesh")
        self.gateway("api", "api")
        self.gateway("api2", "api")
        for actor in self.workers:
            self.worker(actor)
        self.crew()
        for name in ("mesh", "api", "api2"):
            await self.ready(name)
        await self.call_until_done()

    def migrate(self) -> None:
        """Bring the database to the schema of the working tree."""
        subprocess.run([sys.executable, "-m", "asya_cli", "migrate"], env=self.environment(), check=True)

    async def ready(self, name: str) -> None:
        url = self.processes[name].url + "/health/ready"

        async def check() -> bool:
            try:
                async with self.session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as response:
                    return response.status == 200
            except (aiohttp.ClientError, TimeoutError):
                return False

        await until(check, 60, f"{name} ready")

    async def call_until_done(self) -> None:
        """One call to its end, so that queues exist before the load begins."""
        task_id = await until(lambda: self.call("api"), 60, "a first call")
        await until(lambda: self.ended(task_id), 60, "the first task's end")

    async def ended(self, task_id: str) -> bool:
        return bool((await self.task(task_id))["status"] == "succeeded")

    async def task(self, task_id: str) -> Any:
        """What the api process says about a task."""
        async with self.session.get(f"{self.processes['api'].url}/tasks/{task_id}") as response:
            return await response.json()

    # Load

    async def call(self, process: str, flow: str = "work", **payload: Any) -> str | None:
        """One call; its id where it was accepted, and a count of what was answered otherwise."""
        self._number += 1
        number = self._number
        body = {"name": flow, "arguments": {"n": number, **payload}}
        try:
            async with self.session.post(
                self.processes[process].url + "/tools/call", json=body, timeout=aiohttp.ClientTimeout(total=20)
            ) as response:
                self.answers[response.status] += 1
                if response.status != 200:
                    return None
                answer = json.loads((await response.json())["content"][0]["text"])
        except (aiohttp.ClientError, TimeoutError) as error:
            self.answers[type(error).__name__] += 1
            return None
        self.accepted[answer["task_id"]] = number
        return str(answer["task_id"])

    def follow(self, task_id: str, process: str = "api2") -> Reader:
        """Read a task's stream to its end, connecting again with Last-Event-ID whenever it is cut."""
        reader = Reader(task_id)
        self.readers.append(reader)
        self._spawn(self._read(reader, process))
        return reader

    async def _read(self, reader: Reader, process: str) -> None:
        while reader.final is None:
            headers = {"Last-Event-ID": str(reader.seqs[-1])} if reader.seqs else {}
            url = f"{self.processes[process].url}/stream/{reader.task_id}"
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self.session.get(url, headers=headers, timeout=aiohttp.ClientTimeout(sock_read=60)) as found:
                    if found.status == 204:
                        return
                    if found.status == 200:
                        await self._take(reader, found)
            await lasts(0.1)

    async def _take(self, reader: Reader, response: aiohttp.ClientResponse) -> None:
        async for name, seq, data in events(response):
            if name != "update":
                reader.live.append(data)
                continue
            if seq is not None:
                reader.seqs.append(seq)
            if data["status"] in ("succeeded", "failed", "canceled"):
                reader.final = data

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def load(self, seconds: float, *, process: str = "api", callers: int = 8, follow_every: int = 5) -> None:
        """Calls from several callers for so long; every fifth task gets a reader on the other api process. The
        gateway accepts far faster than these few actors work, so callers wait between their calls."""
        stop = time.monotonic() + seconds

        async def caller() -> None:
            count = 0
            while time.monotonic() < stop:
                task_id = await self.call(process)
                count += 1
                if task_id is not None and count % follow_every == 0:
                    self.follow(task_id)
                await lasts(PACE)

        await asyncio.gather(*(caller() for _ in range(callers)))

    @contextlib.asynccontextmanager
    async def doubling(self) -> AsyncIterator[list[int]]:
        """Duplicate every message during the block; yields a list with the number of duplicates so far."""
        doubled = [0]
        if self.rabbit is None:
            await self.query(
                "CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " INSERT INTO queue_messages (queue, body) VALUES (NEW.queue, NEW.body); RETURN NULL; END $$"
            )
            await self.query(
                "CREATE TRIGGER double AFTER INSERT ON queue_messages FOR EACH ROW WHEN (pg_trigger_depth() = 0)"
                " EXECUTE FUNCTION double()"
            )
            yield doubled
            return

        async def again(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            copy = aio_pika.Message(message.body, delivery_mode=2, content_type="application/json")
            await channel.default_exchange.publish(copy, f"asya-faults-{message.routing_key}")
            await message.ack()
            doubled[0] += 1

        async with await aio_pika.connect(self.queues.address) as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange("asya")
            doubler = await channel.declare_queue("doubler", auto_delete=True)
            for actor in (*self.workers, "x-sink", "x-pause", "x-resume"):
                await doubler.bind(exchange, actor)
            await doubler.consume(again)
            yield doubled

    async def load_during(
        self, fault: Callable[[], Awaitable[None]], *, before: float = 1.5, after: float = 2.5
    ) -> None:
        """The load with the fault in its middle."""
        loading = asyncio.create_task(self.load(before + after))
        await lasts(before)
        await fault()
        await loading

    # Audit

    async def settled(self, seconds: float = 240.0) -> None:
        """Wait until every task that the database knows has ended, and every reader has seen its end."""

        async def open_tasks() -> int:
            count: int = await self.query_value("SELECT count(*) FROM tasks WHERE finished_at IS NULL")
            return count

        async def none_open() -> bool:
            return await open_tasks() == 0

        await until(none_open, seconds, "the end of every task")
        await until(lambda: all(reader.final for reader in self.readers), 30, "every reader's end")

    async def query(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()

    async def query_value(self, sql: str, *args: Any) -> Any:
        return (await self.query(sql, *args))[0][0]

    async def audit(self, *, statuses: tuple[str, ...] = ("succeeded",), reruns: tuple[str, ...] = ()) -> None:
        """No accepted task lost, one end each, no gaps, readers saw all once and in order, no finished hop ran
        again. `reruns` names actors whose unfinished hops may have begun twice."""
        await self.settled()
        tasks = {row["id"]: row for row in await self.query("SELECT id, status, last_seq FROM tasks")}
        assert self.accepted.keys() <= tasks.keys(), "an accepted task is gone"
        assert Counter(row["status"] for row in tasks.values()).keys() <= set(statuses)
        await self._audit_log(tasks)
        for reader in self.readers:
            expected = list(range(1, tasks[reader.task_id]["last_seq"] + 1))
            assert reader.seqs == expected, (reader.task_id, reader.seqs, expected)
        await until(lambda: self.audit_runs(reruns), 30, "the end of every hop that was begun")

    async def _audit_log(self, tasks: dict[str, Any]) -> None:
        rows = await self.query(
            "SELECT task_id, array_agg(seq ORDER BY seq) AS seqs, count(*) FILTER (WHERE kind = 'final') AS finals"
            " FROM task_updates GROUP BY task_id"
        )
        assert {row["task_id"] for row in rows} == tasks.keys()
        for row in rows:
            assert row["finals"] == 1, row["task_id"]
            assert row["seqs"] == list(range(1, tasks[row["task_id"]]["last_seq"] + 1)), row["task_id"]

    def begun(self, task_id: str, actor: str = "first") -> bool:
        """Whether this actor runs, or has run, this task's hop."""
        line = f"{actor} {self.accepted[task_id]} begun "
        return self.runs.exists() and any(each.startswith(line) for each in self.runs.read_text().splitlines())

    def audit_runs(self, reruns: tuple[str, ...] = (), repeated: Collection[int] = ()) -> bool:
        """No hop ran twice but those of the actors `reruns` and of the calls `repeated`, which may be two tasks;
        whether each that was begun has ended by now."""
        twofold = {str(number) for number in repeated}
        ended: Counter[tuple[str, str]] = Counter()
        begun: Counter[tuple[str, str]] = Counter()
        for line in self.runs.read_text().splitlines():
            actor, number, event, _pid = line.split()
            (ended if event == "ended" else begun)[actor, number] += 1
        twice = {
            (actor, number): count
            for (actor, number), count in begun.items()
            if count > 1 and actor not in reruns and number not in twofold
        }
        assert not twice, f"hops that ran twice: {twice}"
        return all(ended[key] >= 1 for key in begun)

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.session.close()
        # A worker whose handler never ends would take the whole of its grace period.
        await asyncio.gather(*(asyncio.to_thread(process.end, 10) for process in self.processes.values()))

    def logs(self) -> str:
        return "\n".join(
            f"--- {process.name}\n{process.log.read_text(errors='replace')[-1500:]}"
            for process in self.processes.values()
        )


W = TypeVar("W", bound=World)


@contextlib.asynccontextmanager
async def over(kind: type[W], folder: Path, postgres: PostgresServer, queues: Queues) -> AsyncIterator[W]:
    """A world of this kind that is up, with these queues."""
    made = kind(folder, postgres, queues=queues)
    try:
        await made.up()
        yield made
    finally:
        await made.close()
        print(made.logs())


def over_postgres(kind: type[W], folder: Path, postgres: PostgresServer) -> AbstractAsyncContextManager[W]:
    """The same with its queues in the database."""
    return over(kind, folder, postgres, in_database())


@contextlib.asynccontextmanager
async def over_rabbitmq(kind: type[W], folder: Path, postgres: PostgresServer, rabbit: RabbitNode) -> AsyncIterator[W]:
    """A world of this kind that is up, with a virtual host of its own."""
    with virtual_host(rabbit) as queues:
        made = kind(folder, postgres, rabbit, queues.address)
        try:
            await made.up()
            yield made
        finally:
            await made.close()
            print(made.logs())


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, int | None, Any]]:
    """Server-sent events as (name, id, data)."""
    name, seq, data = "message", None, ""
    buffer = b""
    async for chunk in response.content.iter_any():
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in (raw.decode() for raw in lines):
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("id:"):
                seq = int(line[3:])
            elif line.startswith("data:"):
                data += line[5:].strip()
            elif not line and data:
                yield name, seq, json.loads(data)
                name, seq, data = "message", None, ""

"""api and mesh in containers of 512 MiB, with large envelopes in an outage, many streams, and large results."""

import asyncio
import io
import re
import secrets
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from typing_extensions import override

from asya_crds import jsontext
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitNode
from tests.faults.control_groups import ControlGroup, NoControlGroups
from tests.faults.world import FLOWS, Process, World
from tests.support.missing import missing
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(900)

LIMIT = 512 * 1024 * 1024
MOST = int(0.8 * LIMIT)
BLOB = secrets.token_hex(4_750_000)
"""9.5 MB that no compression makes small."""
CALLERS = 110
ACCEPTED = 12
READERS_EACH = 3
FINALS = 24
PATIENCE = aiohttp.ClientTimeout(total=300, sock_connect=None)
_ID = re.compile(rb"\nid: (\d+)\n")


class Contained(World):
    """A world whose gateways each have a container of their own."""

    flows = FLOWS + "  - {name: idle, entrypoint: nobody, timeout: 10m, mcp: {}}\n"

    def __init__(self, folder: Path, postgres: PostgresServer, rabbit: RabbitNode, url: str) -> None:
        super().__init__(folder, postgres, rabbit, url)
        self.groups = {name: ControlGroup(name, LIMIT) for name in ("api", "mesh")}
        self.most = dict.fromkeys(self.groups, 0)
        self.statuses: Counter[int] = Counter()

    @override
    def place(self, process: Process) -> None:
        """Called before a process starts."""
        if process.name in self.groups:
            process.command = self.groups[process.name].around(process.command)

    async def watch(self) -> None:
        """Note the most that each of them held."""
        while True:
            for name, group in self.groups.items():
                self.most[name] = max(self.most[name], group.held())
            await lasts(0.02)

    async def send(self, process: str, path: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        url = self.processes[process].url + path
        # A view of the same bytes for each request: so many copies would be this test's own outage.
        data = io.BytesIO(body)
        async with self.session.post(url, data=data, headers=headers, timeout=PATIENCE) as response:
            self.statuses[response.status] += 1
            return response.status, await response.read()

    @override
    async def close(self) -> None:
        await super().close()
        for group in self.groups.values():
            group.close()


@pytest.fixture
async def contained(tmp_path: Path, own_postgres: PostgresServer, own_rabbit: RabbitNode) -> AsyncIterator[Contained]:
    vhost = f"faults-{uuid.uuid4().hex[:8]}"
    try:
        made = Contained(tmp_path, own_postgres, own_rabbit, own_rabbit.create_vhost(vhost))
    except NoControlGroups as reason:
        missing(reason)
    watching = asyncio.create_task(made.watch())
    try:
        await made.up()
        yield made
    finally:
        watching.cancel()
        await made.close()
        own_rabbit.delete_vhost(vhost)
        print(made.most, made.statuses)
        print(made.logs())


async def test_neither_an_outage_nor_readers_nor_results_of_large_tasks_cost_more_than_the_container_has(
    contained: Contained,
) -> None:
    assert contained.rabbit is not None
    await asyncio.to_thread(contained.rabbit.stop)
    tasks = await accepted_while_the_broker_is_away(contained)
    readers = [asyncio.create_task(read_to_the_end(contained, task)) for task in tasks for _ in range(READERS_EACH)]
    await asyncio.to_thread(contained.rabbit.start)
    await until(lambda: all_ended(contained, tasks), 400, "the end of every accepted task")
    async with asyncio.timeout(200):
        await asyncio.gather(*readers)
    await finals_all_at_once(contained)
    await everything_is_read(contained, tasks)
    assert set(contained.statuses) <= {200, 503}, contained.statuses
    assert {name: group.kills() for name, group in contained.groups.items()} == {"api": 0, "mesh": 0}
    assert all(0 < most < MOST for most in contained.most.values()), contained.most


async def accepted_while_the_broker_is_away(world: Contained) -> list[str]:
    """Many callers at once with bodies of 9.5 MB; those who are refused come again until enough are accepted."""
    tasks: list[str] = []

    body = f'{{"name":"work","arguments":{{"n":1000,"blob":"{BLOB}"}}}}'.encode()

    async def caller() -> None:
        while len(tasks) < ACCEPTED:
            status, answer = await world.send("api", "/tools/call", body)
            if status == 200:
                tasks.append(jsontext.loads(jsontext.loads(answer)["content"][0]["text"])["task_id"])
                return
            await lasts(1)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return tasks


async def all_ended(world: Contained, tasks: list[str]) -> bool:
    rows = await world.query("SELECT status FROM tasks WHERE id = ANY ($1)", tasks)
    assert {row["status"] for row in rows} <= {"pending", "running", "succeeded"}
    return [row["status"] for row in rows] == ["succeeded"] * len(tasks)


async def read_to_the_end(world: Contained, task_id: str) -> None:
    """Read a stream, connecting again where it is cut, until the whole result came."""
    url, last = f"{world.processes['api'].url}/stream/{task_id}", 0
    while True:
        try:
            async with world.session.get(url, headers={"Last-Event-ID": str(last)}, timeout=PATIENCE) as response:
                world.statuses[response.status] += 1
                text = b"\n" + await response.read() if response.status == 200 else b""
        except aiohttp.ClientError:
            text = b""
        whole = text.rpartition(b"\n\n")[0] + b"\n\n"
        if b'"status":"succeeded"' in whole:
            assert len(whole) > len(BLOB)
            return
        last = max([last, *(int(seq) for seq in _ID.findall(whole))])
        await lasts(0.5)


async def finals_all_at_once(world: Contained) -> None:
    """Ends with results of 9.5 MB come together: not one is refused."""
    ids = []
    for _ in range(FINALS):
        status, answer = await world.send("api", "/tools/call", b'{"name":"idle"}')
        assert status == 200
        ids.append(jsontext.loads(jsontext.loads(answer)["content"][0]["text"])["task_id"])

    body = f'{{"status":"succeeded","result":{{"blob":"{BLOB}"}}}}'.encode()

    async def end(task_id: str) -> int:
        return (await world.send("mesh", f"/mesh/{task_id}/final", body))[0]

    assert await asyncio.gather(*map(end, ids)) == [200] * FINALS


async def everything_is_read(world: Contained, tasks: list[str]) -> None:
    """Everybody reads everything at once."""

    async def read(task_id: str) -> None:
        while True:
            async with world.session.get(f"{world.processes['api'].url}/tasks/{task_id}") as response:
                world.statuses[response.status] += 1
                size = len(await response.read())
            if response.status == 200:
                assert size > 2 * len(BLOB)
                return
            await lasts(0.5)

    async with asyncio.timeout(200):
        await asyncio.gather(*(read(task_id) for task_id in tasks))

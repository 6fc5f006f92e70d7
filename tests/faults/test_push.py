"""kill -9 of a replica that pushes: the other one goes on, every receiver sees every event, first deliveries are in
order, and repeats can be recognised."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from typing_extensions import override

from servers.postgres import PostgresServer
from tests.faults.world import FLOWS, World, over_postgres
from tests.support.receiver import Receiver, receiving
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(600)

TASKS = 40


class PushingWorld(World):
    """With a skill, and receivers on this machine."""

    flows = FLOWS.replace("{name: work,", "{name: work, a2a: {},")

    @override
    def environment(self, **more: Any) -> dict[str, str]:
        return super().environment(ASYA_OUTBOUND_ALLOW="127.0.0.0/8", **more)

    async def send(self, process: str, url: str) -> str:
        """Begin a task whose changes are pushed."""
        self._number += 1
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {"n": self._number}}]}
        configuration = {"returnImmediately": True, "taskPushNotificationConfig": {"url": url}}
        params = {"message": message, "configuration": configuration, "tenant": "work"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
        at = self.processes[process].url + "/a2a/"
        async with self.session.post(at, json=body, timeout=aiohttp.ClientTimeout(total=20)) as response:
            task_id = str((await response.json())["result"]["task"]["id"])
        self.accepted[task_id] = self._number
        return task_id

    async def pushers(self) -> int:
        """How many processes push now. A lease is named by its process, a point, and a number."""
        sql = "SELECT DISTINCT split_part(leased_by, '.', 1) FROM destinations WHERE leased_by IS NOT NULL"
        rows = await self.query(sql)
        return len(rows)


@pytest.fixture
async def world(tmp_path: Path, own_postgres: PostgresServer) -> AsyncIterator[PushingWorld]:
    async with over_postgres(PushingWorld, tmp_path, own_postgres) as made:
        yield made


async def slowly(_request: web.Request) -> web.Response:
    await lasts(0.3)
    return web.Response(status=204)


async def test_what_a_killed_replica_was_pushing_is_pushed_by_the_other_one(world: PushingWorld) -> None:
    async with receiving() as receiver:
        receiver.then = slowly
        names = ("api", "api2")
        tasks = await asyncio.gather(
            *(world.send(names[number % 2], f"{receiver.url}/{number}") for number in range(TASKS))
        )
        await until(lambda: two_push(world), 60, "both replicas push")
        world.processes["api"].kill()
        await world.settled()
        receiver.then = 204
        done = "SELECT count(*) FROM destinations WHERE done AND leased_by IS NULL"
        await until(lambda: all_done(world, done), 120, "every end is delivered")
    world.processes["api"].restart()
    await world.ready("api")
    await world.audit()
    for number, task_id in enumerate(tasks):
        check(receiver, f"/{number}", task_id, await states(world, task_id))


async def two_push(world: PushingWorld) -> bool:
    return await world.pushers() == 2


async def all_done(world: PushingWorld, sql: str) -> bool:
    return bool(await world.query_value(sql) == TASKS)


async def states(world: PushingWorld, task_id: str) -> list[str]:
    """The entries of a task's log that change something, as their events are numbered."""
    rows = await world.query("SELECT seq, kind, status FROM task_updates WHERE task_id = $1 ORDER BY seq", task_id)
    found, before = [], ""
    for row in rows:
        if row["kind"] == "final":
            found += [f"{row['seq']}.1", f"{row['seq']}.2"]
        elif row["status"] != before:
            found.append(str(row["seq"]))
        before = row["status"]
    return found


def check(receiver: Receiver, path: str, task_id: str, expected: list[str]) -> None:
    """Every event at least once, the first deliveries in order, and each repeat the same as the first."""
    bodies: dict[str, Any] = {}
    for each in receiver.received:
        if each.path == path:
            assert each.headers["X-Asya-Event-Id"] == f"{task_id}/{each.seq}"
            assert bodies.setdefault(each.seq, each.body) == each.body
    assert list(bodies) == expected, path

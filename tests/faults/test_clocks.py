"""Each program's clock is wrong by 90 s, some are slow and some fast: the database's time alone counts."""

import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from asya_crds.envelope import parse_time
from servers.clocks import wrong_by
from servers.postgres import PostgresServer
from servers.processes import ServerUnavailable
from servers.rabbitmq import RabbitNode
from tests.faults.world import Process, World, over_rabbitmq
from tests.support.missing import missing
from tests.support.waiting import until

FLOWS = """
flows:
  - {name: work, entrypoint: first, routeNext: [stamped], timeout: 60s, mcp: {}}
  - {name: brief, entrypoint: first, routeNext: [stamped], timeout: 6s, mcp: {}}
"""
SLOW, FAST = "-90s", "+90s"
CLOCKS = {"mesh": FAST, "api": SLOW, "api2": FAST, "first": SLOW, "stamped": FAST, "crew": SLOW}

pytestmark = pytest.mark.timeout(240)


class SkewedWorld(World):
    """Postgres and RabbitMQ have the right time. Claims, and ended tasks, are kept for less than the clocks differ."""

    flows = FLOWS
    workers = ("first", "stamped")

    @override
    def place(self, process: Process) -> None:
        process.environment.update(
            wrong_by(CLOCKS[process.name]),
            ASYA_CLAIM_LEASE="3s",
            ASYA_RETENTION_TASKS="60s",
            ASYA_RETENTION_UPDATES="60s",
        )


@pytest.fixture
async def skewed(tmp_path: Path, own_postgres: PostgresServer, own_rabbit: RabbitNode) -> AsyncIterator[SkewedWorld]:
    try:
        wrong_by(SLOW)
    except ServerUnavailable as reason:
        missing(reason)
    async with over_rabbitmq(SkewedWorld, tmp_path, own_postgres, own_rabbit) as made:
        yield made


async def keyed(world: World, process: str, key: str) -> str:
    """The task of a call with an Idempotency-Key."""
    url, headers = f"{world.processes[process].url}/tools/call", {"Idempotency-Key": key}
    async with world.session.post(url, json={"name": "work", "arguments": {"n": 900}}, headers=headers) as response:
        assert response.status == 200
        return str(json.loads((await response.json())["content"][0]["text"])["task_id"])


async def row_of(world: World, task_id: str) -> Any:
    columns = (
        "status, deadline_at, created_at, extract(epoch FROM deadline_at - created_at)::float8 AS given,"
        " extract(epoch FROM finished_at - created_at)::float8 AS took"
    )
    [row] = await world.query(f"SELECT {columns} FROM tasks WHERE id = $1", task_id)
    return row


async def failed(world: World, task_id: str) -> bool:
    return bool((await world.task(task_id))["status"] == "failed")


async def test_with_every_clock_wrong_by_90_s_tasks_have_their_time_and_claims_their_lease(skewed: SkewedWorld) -> None:
    world = skewed
    async with world.doubling():
        briefs = [
            await until(partial(world.call, name, "brief", first_waits_for=str(world.gate)), 20, "a call")
            for name in ("api", "api2")
        ]
        held = await world.call("api", "work", first_waits_for=str(world.gate))
        assert held is not None
        ordinary = [await world.call(name) for name in ("api", "api2") for _ in range(10)]
        assert await keyed(world, "api", "one") == await keyed(world, "api2", "one")
        for task_id in briefs:
            await until(partial(failed, world, task_id), 30, "the end by the deadline")
            row = await row_of(world, task_id)
            assert abs(row["given"] - 6) < 0.01
            assert 6 <= row["took"] < 16
            assert (await world.task(task_id))["error"]["class"] == "deadline"
        # The hop has been held for twice its lease, with a second copy of its message in the queue.
        assert (await world.task(held))["status"] == "running"
        world.gate.touch()
        await world.settled()
    for task_id in (held, *ordinary):
        assert task_id is not None
        row = await row_of(world, task_id)
        assert (row["status"], round(row["given"], 2)) == ("succeeded", 60)
        stamp = (await world.task(task_id))["result"]["status"]["deadline_at"]
        assert abs((parse_time(stamp) - row["deadline_at"]).total_seconds()) < 5
    # Nothing that ended is gone, though the sweeper of a fast pod had turns; nothing ran twice.
    assert len(await world.query("SELECT FROM tasks")) == len(world.accepted) + 1
    world.audit_runs()

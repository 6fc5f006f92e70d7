"""The faults that no queue system is special in, over the stand-ins of SQS and Pub/Sub. The other files have them over
RabbitMQ and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.postgres import PostgresServer
from servers.proxy import TcpProxy
from tests.faults.queues import Queues
from tests.faults.test_killed import taken_over_after_kill_9
from tests.faults.world import World, over
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(600)
LONGEST_LEASE = 30.0
"""Seconds; that of Pub/Sub, which no setting changes."""


@dataclass
class Clouded:
    """A world over the queues of a cloud, which it reaches through a proxy."""

    world: World
    queues: Queues
    proxy: TcpProxy

    async def come_to_rest(self) -> None:
        """Every task has ended once, and no message is left anywhere."""
        await self.world.audit(reruns=("first", "second"))

        async def nothing_is_left() -> bool:
            return await asyncio.to_thread(self.queues.left) == 0

        await until(nothing_is_left, LONGEST_LEASE * 3, "empty queues")


@pytest.fixture
async def clouded(tmp_path: Path, own_postgres: PostgresServer, cloud: Queues) -> AsyncIterator[Clouded]:
    proxy = await cloud.behind_proxy()
    try:
        async with over(World, tmp_path, own_postgres, cloud) as world:
            yield Clouded(world, cloud, proxy)
    finally:
        await proxy.close()


async def test_kill_9_of_every_program_in_turn_loses_no_task(clouded: Clouded) -> None:
    world = clouded.world

    async def fault() -> None:
        for name in ("api", "mesh", "first", "second", "crew"):
            world.processes[name].kill()
            world.processes[name].start()
        for name in ("api", "mesh"):
            await world.ready(name)

    await world.load_during(fault, after=3)
    assert world.answers[200] > 20
    await clouded.come_to_rest()


async def test_a_killed_workers_hop_is_taken_over_within_a_lease_and_ten_seconds(clouded: Clouded) -> None:
    assert await taken_over_after_kill_9(clouded.world) < LONGEST_LEASE + 10
    await clouded.come_to_rest()


async def test_with_its_connections_cut_and_the_queue_system_away_for_10_s_calls_are_accepted_and_all_end(
    clouded: Clouded,
) -> None:
    world, proxy = clouded.world, clouded.proxy

    async def fault() -> None:
        for _ in range(3):
            proxy.cut()
            await lasts(0.5)
        proxy.refuse()
        before = world.answers[200]
        await lasts(10)
        assert world.answers[200] > before, "nothing was accepted while the queue system was away"
        proxy.accept()

    await world.load_during(fault, after=14)
    assert set(world.answers) == {200}, world.answers
    await clouded.come_to_rest()


async def test_a_stop_by_sigterm_leaves_no_message_to_nobody(clouded: Clouded) -> None:
    """Workers that have polled, and prefetched, begin again in the middle of the load: what they had is with others at
    once, not after a lease."""
    world = clouded.world

    async def fault() -> None:
        for name in ("first", "second", "crew"):
            await asyncio.to_thread(world.processes[name].end)
            running = world.processes[name].running
            assert running is not None
            assert running.returncode == 0, name
            world.processes[name].start()

    await world.load_during(fault)
    await clouded.come_to_rest()
    world.audit_runs()

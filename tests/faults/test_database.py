"""Postgres away, restarted, its LISTEN connections cut."""

import asyncio

import pytest

from tests.faults.world import World
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)


async def test_postgres_restarted_loses_nothing_and_answers_are_503_meanwhile(world: World) -> None:
    async def fault() -> None:
        await asyncio.to_thread(world.postgres.stop, "immediate")
        await asyncio.sleep(3)
        await asyncio.to_thread(world.postgres.start)

    await world.load_during(fault, after=10)
    assert set(world.answers) <= {200, 503, "TimeoutError"}, world.answers
    await world.audit()


async def test_postgres_killed_with_its_backends_loses_nothing(world: World) -> None:
    async def fault() -> None:
        await asyncio.to_thread(world.postgres.kill)
        await asyncio.to_thread(world.postgres.start)

    await world.load_during(fault, after=8)
    assert set(world.answers) <= {200, 503, "TimeoutError"}, world.answers
    await world.audit()


async def test_a_503_says_when_to_come_again_and_nothing_is_half_done(world: World) -> None:
    await asyncio.to_thread(world.postgres.stop, "immediate")
    url = world.processes["api"].url
    async with world.session.post(url + "/tools/call", json={"name": "work", "arguments": {"n": 99}}) as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) >= 1
    async with world.session.get(url + "/health") as response:
        assert response.status == 200
    async with world.session.get(url + "/health/ready") as response:
        assert response.status == 200
    await asyncio.to_thread(world.postgres.start)
    await until(lambda: world.call("api"), 60, "a call after the restart")
    await world.audit()
    assert await world.query_value("SELECT count(*) FROM tasks") == len(world.accepted)


async def test_listen_connections_cut_again_and_again_hide_nothing_from_readers(world: World) -> None:
    async def fault() -> None:
        for _ in range(8):
            await world.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'asya bell'"
            )
            await asyncio.sleep(0.4)

    await world.load_during(fault, after=4)
    assert len(world.readers) > 5
    await world.audit()


async def test_every_connection_cut_at_once_again_and_again_loses_and_doubles_nothing(world: World) -> None:
    async def fault() -> None:
        for _ in range(5):
            await world.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = 'faults' AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(0.5)

    await world.load_during(fault, after=4)
    await world.audit()

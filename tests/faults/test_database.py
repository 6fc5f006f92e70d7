"""Postgres away, restarted, frozen, its LISTEN connections cut."""

import asyncio
import time

import pytest

from tests.faults.world import World
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(600)


async def test_postgres_restarted_loses_nothing_and_answers_are_503_meanwhile(world: World) -> None:
    async def fault() -> None:
        await asyncio.to_thread(world.postgres.stop, "immediate")
        await lasts(3)
        await asyncio.to_thread(world.postgres.start)

    await world.load_during(fault, after=10)
    assert set(world.answers) <= {200, 503}, world.answers
    await world.audit()


async def test_postgres_killed_with_its_backends_loses_nothing(world: World) -> None:
    async def fault() -> None:
        await asyncio.to_thread(world.postgres.kill)
        await asyncio.to_thread(world.postgres.start)

    await world.load_during(fault, after=8)
    assert set(world.answers) <= {200, 503}, world.answers
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


async def test_a_frozen_postgres_is_a_503_within_12_s_and_nothing_is_half_done(world: World) -> None:
    task_id = await world.call("api")
    assert task_id is not None
    await until(lambda: world.ended(task_id), 30, "the task's end")
    api, mesh = world.processes["api"].url, world.processes["mesh"].url
    report = {"prev": [], "curr": "first", "next": ["second"], "status": "processing"}
    requests = [
        ("POST", f"{api}/tools/call", {"name": "work", "arguments": {"n": 99}}),
        ("GET", f"{api}/tasks/{task_id}", None),
        ("GET", f"{api}/tasks", None),
        ("POST", f"{api}/tasks/{task_id}/cancel", None),
        ("POST", f"{mesh}/mesh/{task_id}/progress", report),
        ("POST", f"{mesh}/mesh/{task_id}/final", {"id": task_id, "status": "succeeded", "result": 1}),
        ("POST", f"{mesh}/mesh/{task_id}/fly", {"payload": {"token": "a"}}),
    ]

    async def refused(after: float, method: str, url: str, body: object) -> None:
        await lasts(after)
        began = time.monotonic()
        async with world.session.request(method, url, json=body) as response:
            took = time.monotonic() - began
            assert response.status == 503, url
            assert int(response.headers["Retry-After"]) >= 1
        assert took < 12.5, url

    world.postgres.freeze()
    try:
        # Also those who come while the first ones wait, and when the first were told.
        await asyncio.gather(*(refused(after, *request) for after in (0, 0.3, 3, 14) for request in requests))
    finally:
        world.postgres.thaw()
    await until(lambda: world.call("api"), 60, "a call after the thaw")
    await world.settled()
    await world.audit()
    halves = await world.query_value(
        "SELECT count(*) FROM tasks t WHERE NOT EXISTS (SELECT FROM task_bodies b WHERE b.task_id = t.id)"
    )
    assert halves == 0


async def test_listen_connections_cut_again_and_again_hide_nothing_from_readers(world: World) -> None:
    async def fault() -> None:
        for _ in range(8):
            await world.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'asya bell'"
            )
            await lasts(0.4)

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
            await lasts(0.5)

    await world.load_during(fault, after=4)
    await world.audit()

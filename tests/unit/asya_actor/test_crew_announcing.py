"""The crew tells mesh that it runs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_actor.crew import announcing
from asya_actor.crew.announcing import Announcement
from asya_actor.mesh.client import MeshClient, Timeouts
from servers.ports import free_port
from tests.support.mesh_stub import MeshStub, mesh_stub
from tests.support.waiting import until


@pytest.fixture
async def stub() -> AsyncIterator[MeshStub]:
    async with mesh_stub() as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[MeshClient]:
    made = MeshClient(Timeouts(connect=1.0, total=1.0))
    yield made
    await made.close()


def said(stub: MeshStub) -> list[Any]:
    assert {path for _, path, _ in stub.requests} == {"/mesh/crews/heartbeat"}
    return [body for _, _, body in stub.requests]


async def test_a_crew_says_its_sink_and_hooks_again_and_again_and_that_it_leaves(
    stub: MeshStub, client: MeshClient
) -> None:
    stub.answers.extend([(200, '{"status":"ok","every_seconds":0.01}')] * 2)
    crew = Announcement(client, stub.url, sink="x-sink", hooks=True)
    await crew.begin()
    assert len(stub.requests) == 1, "the crew consumes only after mesh has heard of it"
    await until(lambda: len(stub.requests) == 3, 5, "the announcements")
    await crew.leave()
    *alive, leaving = said(stub)
    [name] = {body["name"] for body in alive}
    assert alive == [{"name": name, "sink": "x-sink", "hooks": True}] * 3
    assert leaving == {"name": name, "leaving": True}
    await crew.leave()
    assert len(stub.requests) == 4


@pytest.mark.parametrize("answer", [404, 405, 400])
async def test_a_mesh_that_knows_no_announcements_is_asked_again_much_later(
    stub: MeshStub, client: MeshClient, answer: int
) -> None:
    stub.answers.append(answer)
    crew = Announcement(client, stub.url, sink="x-sink", hooks=False)
    async with asyncio.timeout(1):
        await crew.begin()
    assert len(stub.requests) == 1
    await crew.leave()


async def test_a_mesh_that_is_away_holds_no_crew_up_and_is_told_when_it_is_back(
    stub: MeshStub, client: MeshClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "LONGEST_WAIT", 0.05)
    away = Announcement(client, f"http://127.0.0.1:{free_port()}", sink="x-sink", hooks=True)
    await away.begin()
    await away.leave()
    stub.answers.append(503)
    crew = Announcement(client, stub.url, sink="x-sink", hooks=True)
    await crew.begin()
    await until(lambda: len(stub.requests) == 2, 5, "the second announcement")
    await crew.leave()

"""The next message is begun when a handler's place is free, not when the end before it is stored."""

import asyncio
from collections.abc import Sequence

import pytest

from asya_actor.publishing import RetryingPublisher
from asya_transports.port import OutboundMessage, TransportError
from tests.support.actors import Mesh, declare
from tests.support.handlers import CALLS, GATE
from tests.support.lives import SINGLE
from tests.support.waiting import until


@SINGLE  # with reports of batches, the worker publishes nothing that could be held up
async def test_the_next_message_is_begun_while_the_end_before_it_is_being_stored(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, publish = asyncio.Event(), RetryingPublisher.publish

    async def hold(self: RetryingPublisher, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        await go.wait()
        return await publish(self, messages)

    monkeypatch.setattr(RetryingPublisher, "publish", hold)
    await declare(mesh, "x-sink")
    await mesh.run(mesh.worker("exclaim", "exclaim"), crew=False)
    tasks = [await mesh.submit(["exclaim"], {"text": str(number)}) for number in range(4)]
    await until(lambda: len(CALLS) == 4, 10, "every call, before any end is stored")
    go.set()
    await mesh.run()
    assert [(await mesh.ended(task))["result"] for task in tasks] == [{"text": f"{number}!"} for number in range(4)]


async def test_nothing_is_begun_without_a_free_place_and_a_busy_worker_holds_nothing_for_long(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("gated", "gated_async", actor_concurrency=1))
    tasks = [await mesh.submit(["gated"], {"n": number}) for number in range(5)]
    await until(lambda: CALLS)

    async def waiting() -> int:
        return await mesh.transport.depth("gated")

    async def others_wait() -> bool:
        return await waiting() == 4

    await until(others_wait, 10, "the other messages to be in the queue")
    assert len(CALLS) == 1
    claims = await mesh.gateway.database.fetchval("SELECT count(*) FROM task_hops")
    assert claims == 1, "only one hop was begun"
    GATE.set()
    for task in tasks:
        assert (await mesh.ended(task))["status"] == "succeeded"


async def test_no_message_is_held_by_a_busy_worker_while_another_is_idle(mesh: Mesh) -> None:
    """A worker that was fast holds messages ahead, and returns them when its handler waits."""
    work = mesh.worker("work", "gated_if_asked", actor_concurrency=1)
    await mesh.run(work)
    fast = [await mesh.submit(["work"], {"n": number}) for number in range(60)]
    for task in fast:
        await mesh.ended(task)
    slow = await mesh.submit(["work"], {"waits": True})
    behind = [await mesh.submit(["work"], {"n": number}) for number in range(20)]
    await until(lambda: any(payload.get("waits") for _, payload in CALLS))
    await mesh.run(work, crew=False)
    for task in behind:
        assert (await mesh.ended(task, 10))["status"] == "succeeded"
    assert (await mesh.task(slow))["status"] == "running"
    GATE.set()
    assert (await mesh.ended(slow))["status"] == "succeeded"

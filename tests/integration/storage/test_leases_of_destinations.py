"""Leases of destinations: each is of its own, and whoever lost one records nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from asya_gateway.channels.host import DeliveryHost
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.destinations import DeliveryCapacity, DeliveryProgress, Destination, Lagging, Put
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.channels.destinations import PostgresDestinations
from asya_gateway.storage.channels.leases import PostgresDeliveries
from asya_gateway.storage.coalescer import Limits
from tests.support.storage import Running
from tests.support.waiting import rounds, until

KEY = "key:k"


class Deliveries:
    """Destinations, and what one process leases of them."""

    def __init__(self, still: Running, budget: Budget | None = None) -> None:
        self.database = still.storage.database
        announcing = DestinationAnnouncements(still.storage.bell)
        self.destinations = PostgresDestinations(self.database, announcing)
        self.queue = PostgresDeliveries(
            self.database,
            announcing,
            channels=["a2a"],
            per_host=8,
            per_owner=64,
            limits=Limits(),
            longest=10.0,
            budget=budget,
        )

    async def put(self, task_id: str, name: str = "x", url: str = "https://old.example/") -> None:
        at = Destination(task_id, "a2a", name, "", url, "h", {}, revocables=frozenset({KEY}))
        assert await self.destinations.put(at) is Put.STORED
        await self.database.execute("UPDATE destinations SET delivered_seq = 0")

    async def leased(self, task_id: str) -> Lagging:
        (only,) = await self.queue.lease([task_id], DeliveryCapacity(), 10)
        return only

    async def expired(self) -> None:
        await self.database.execute("UPDATE destinations SET lease_until = clock_timestamp() - interval '1 second'")

    async def row(self) -> asyncpg.Record:
        (only,) = await self.database.fetch("SELECT * FROM destinations")
        return only


@pytest.fixture
def deliveries(still: Running) -> Deliveries:
    return Deliveries(still)


def end_of(lagging: Lagging) -> DeliveryProgress:
    reason = "it answered 410"
    return DeliveryProgress(lagging.key, lagging.lease, 1, "pending", disabled_reason=reason, done=True, release=True)


async def test_what_waits_to_be_recorded_is_charged_to_the_memory_budget(still: Running) -> None:
    budget = Budget(1_000_000)
    deliveries = Deliveries(still, budget)
    task_id = await still.create()
    await deliveries.put(task_id)
    settling = asyncio.ensure_future(deliveries.queue.settle(end_of(await deliveries.leased(task_id))))
    await rounds(1)
    assert budget.holds(Share.WRITES) > 0
    assert await settling
    assert budget.holds(Share.WRITES) == 0


async def test_what_was_delivered_to_a_replaced_url_is_not_recorded_of_the_new_one(
    still: Running, deliveries: Deliveries
) -> None:
    task_id = await still.create()
    await deliveries.put(task_id)
    old = await deliveries.leased(task_id)
    await deliveries.put(task_id, url="https://new.example/")
    new = await deliveries.leased(task_id)
    assert (new.destination.url, new.key) == ("https://new.example/", old.key)
    assert not await deliveries.queue.settle(end_of(old))
    assert [(await deliveries.row())[name] for name in ("done", "disabled_reason", "delivered_seq")] == [False, None, 0]
    assert await deliveries.queue.settle(end_of(new))
    assert (await deliveries.row())["done"]


async def test_a_lease_that_the_same_process_took_again_is_of_the_later_delivery_alone(
    still: Running, deliveries: Deliveries
) -> None:
    task_id = await still.create()
    await deliveries.put(task_id)
    first = await deliveries.leased(task_id)
    await deliveries.expired()
    second = await deliveries.leased(task_id)
    assert not await deliveries.queue.settle(replace(end_of(first), done=False, disabled_reason=None))
    assert (await deliveries.row())["leased_by"] == second.lease
    await deliveries.queue.stop([first])
    assert (await deliveries.row())["leased_by"] == second.lease
    await deliveries.queue.stop([second])
    assert (await deliveries.row())["leased_by"] is None


@pytest.mark.parametrize("during", ["lease", "pages"])
async def test_a_host_that_stops_while_it_leases_gives_back_what_it_leased(
    still: Running, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    await deliveries.put(await still.create())
    queue, channel = deliveries.queue, SimpleNamespace(name="a2a")
    host = DeliveryHost(queue, [cast("Any", channel)], still.tasks, budget=Budget(2**30), clock=lambda: 0.0)
    await host.start()
    arrived, going_on, real = asyncio.Event(), asyncio.Event(), getattr(queue, during)

    async def slowly(*of: Any) -> Any:
        found = await real(*of)
        arrived.set()
        await going_on.wait()
        return found

    monkeypatch.setattr(queue, during, slowly)
    async with asyncio.timeout(20):
        await arrived.wait()
        assert (await deliveries.row())["leased_by"] is not None
        stopping = asyncio.create_task(host.stop())
        await rounds()
        going_on.set()
        await stopping
    assert (await deliveries.row())["leased_by"] is None
    assert host.leased == 0


@pytest.mark.parametrize("writer", ["revocation", "stop"])
async def test_a_writer_of_several_destinations_locks_them_in_the_order_of_keys(
    still: Running, deliveries: Deliveries, database_url: str, writer: str
) -> None:
    task_id = await still.create()
    # Stored in the other order, in which a statement without an order finds them.
    for name in "ba":
        await deliveries.put(task_id, name)
    held: Sequence[Lagging] = await deliveries.queue.lease([task_id], DeliveryCapacity(), 10)
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM destinations WHERE name = 'a' FOR UPDATE")
            write = deliveries.destinations.disable_of([KEY]) if writer == "revocation" else deliveries.queue.stop(held)
            writing = asyncio.ensure_future(write)
            await until(lambda: connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            await connection.execute("SELECT FROM destinations WHERE name = 'b' FOR UPDATE NOWAIT")
        await writing
    finally:
        await connection.close()
    assert await deliveries.queue.lag() == ((0, 0.0) if writer == "revocation" else (2, pytest.approx(0, abs=600)))

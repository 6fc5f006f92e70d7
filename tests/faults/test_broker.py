"""The broker down, its messages doubled, mesh away for long."""

import asyncio

import aio_pika
import pytest

from tests.faults.world import World
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)


async def test_with_the_broker_down_for_10_s_calls_are_accepted_and_all_end(world: World) -> None:
    assert world.rabbit is not None

    async def fault() -> None:
        assert world.rabbit is not None
        await asyncio.to_thread(world.rabbit.stop)
        before = world.answers[200]
        await asyncio.sleep(10)
        assert world.answers[200] > before, "nothing was accepted while the broker was down"
        await asyncio.to_thread(world.rabbit.start)

    await world.load_during(fault, after=14)
    assert set(world.answers) == {200}, world.answers
    await world.settled()
    await world.audit(reruns=("first", "second"))


async def test_every_message_delivered_twice_runs_no_finished_hop_again(world: World) -> None:
    connection = await aio_pika.connect(world.rabbit_url)
    try:
        channel = await connection.channel()
        exchange = await channel.get_exchange("asya")
        doubler = await channel.declare_queue("doubler", auto_delete=True)
        for actor in ("first", "second", "x-sink"):
            await doubler.bind(exchange, actor)
        doubled = 0

        async def again(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal doubled
            assert message.routing_key is not None
            copy = aio_pika.Message(message.body, delivery_mode=2, content_type="application/json")
            await channel.default_exchange.publish(copy, f"asya-faults-{message.routing_key}")
            await message.ack()
            doubled += 1

        await doubler.consume(again)
        await world.load(3)
        await world.audit()
        assert doubled >= 3 * len(world.accepted) - 3
    finally:
        await connection.close()


async def test_mesh_down_for_longer_than_every_retry_fails_no_task(world: World) -> None:
    async def fault() -> None:
        world.processes["mesh"].kill()
        # Five deliveries with every backoff of the worker's retries fit into this several times.
        await asyncio.sleep(40)
        world.processes["mesh"].start()
        await world.ready("mesh")

    await world.load_during(fault, before=1, after=2)
    await world.settled()
    await world.audit()


async def test_the_embedded_transport_delivers_a_doubled_message_once(embedded: World) -> None:
    await embedded.query(
        "CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO queue_messages (queue, body) VALUES (NEW.queue, NEW.body); RETURN NULL; END $$"
    )
    await embedded.query(
        "CREATE TRIGGER double AFTER INSERT ON queue_messages FOR EACH ROW WHEN (pg_trigger_depth() = 0)"
        " EXECUTE FUNCTION double()"
    )
    await embedded.load(3)
    await embedded.audit()


async def test_the_embedded_world_survives_kill_9_of_every_program_in_turn(embedded: World) -> None:
    async def fault() -> None:
        for name in ("api", "mesh", "first", "second", "crew"):
            embedded.processes[name].kill()
            embedded.processes[name].start()
        for name in ("api", "mesh"):
            await embedded.ready(name)

    await embedded.load_during(fault, after=3)
    await embedded.settled()
    await embedded.audit(reruns=("first", "second"))
    await until(lambda: queues_are_empty(embedded), 90, "empty queues")


async def queues_are_empty(world: World) -> bool:
    return await world.query_value("SELECT count(*) FROM queue_messages") == 0

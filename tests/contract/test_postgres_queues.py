"""Guarantees of the queues in PostgreSQL only: the schema, the gateway's own inserts, plans under load."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from asya_crds.naming import queue_name
from asya_transports.port import Delivery, Prefetch, Queue, TransportUnavailable
from asya_transports.postgres import statements
from asya_transports.postgres.enqueue import (
    ENQUEUE_COLUMNS,
    ENQUEUE_TABLE,
    PAYLOAD_BYTES,
    bell_channel,
    payloads,
    ring,
)
from asya_transports.postgres.pool import QUEUE_SESSION
from asya_transports.postgres.receiver import PostgresReceiver
from asya_transports.postgres.schema import create_schema
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.postgres.transport import PostgresTransport
from tests.contract.transport_harness import message, next_of, publish
from tests.support.waiting import until


@pytest.fixture
async def transport(database_url: str) -> AsyncIterator[PostgresTransport]:
    transport = PostgresTransport(PostgresSettings(database_url, visibility_timeout=1.5), "ns")
    yield transport
    await transport.close()


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url, server_settings=QUEUE_SESSION)
    yield connection
    await connection.close()


async def test_several_programs_may_create_the_schema_at_once(empty_database_url: str) -> None:
    connections = [await asyncpg.connect(empty_database_url) for _ in range(8)]
    try:
        await asyncio.gather(*(create_schema(connection) for connection in connections))
        await create_schema(connections[0])
        assert await connections[0].fetchval("SELECT count(*) FROM queue_messages") == 0
    finally:
        for connection in connections:
            await connection.close()


async def test_a_prefetch_that_is_lowered_while_a_take_begins_leaves_the_messages_to_a_later_one(
    transport: PostgresTransport, caplog: pytest.LogCaptureFixture
) -> None:
    await transport.declare(Queue("worker"))
    await publish(transport, *map(str, range(8)))
    prefetch = Prefetch(6)
    async with transport.receive("worker", prefetch=prefetch) as stream:
        for _ in range(4):
            await (await next_of(stream)).ack()
        held = [await next_of(stream)]  # which begins a take of four
        held.append(await next_of(stream))
        prefetch.set(1)
        for delivery in held:
            await delivery.ack()
        rest = {(await take(stream)).body for _ in range(2)}
    assert rest == {b"6", b"7"}
    assert not caplog.messages


async def take(stream: AsyncGenerator[Delivery]) -> Delivery:
    """The next delivery, acknowledged."""
    delivery = await next_of(stream)
    await delivery.ack()
    return delivery


async def test_without_the_schema_a_publish_is_unavailable_and_says_what_to_do(empty_database_url: str) -> None:
    transport = PostgresTransport(PostgresSettings(empty_database_url), "ns")
    [answer] = await transport.publish([message("x")])
    assert isinstance(answer, TransportUnavailable)
    assert "asya migrate" in str(answer)
    await transport.close()


async def test_a_new_receiver_gives_live_consumers_time_to_renew_their_leases(
    transport: PostgresTransport, connection: "asyncpg.Connection[asyncpg.Record]", database_url: str
) -> None:
    """After a database outage every lease has expired, but messages of live consumers must not be taken."""
    newcomer = PostgresTransport(PostgresSettings(database_url, visibility_timeout=9, poll_interval=0.1), "ns")
    await transport.declare(Queue("worker"))
    await publish(transport, "held")
    async with transport.receive("worker") as stream, newcomer.receive("worker") as other:
        delivery = await next_of(stream)
        await connection.execute("UPDATE queue_messages SET ready_at = now() - interval '1 minute'")
        waiting = asyncio.create_task(anext(other))
        renewed = "SELECT ready_at > now() + interval '1 s' FROM queue_messages"
        await until(lambda: connection.fetchval(renewed))
        await publish(transport, "fresh")
        async with asyncio.timeout(5):
            assert (await waiting).body == b"fresh"
        await delivery.ack()
    await newcomer.close()


async def test_who_deletes_a_message_with_its_receipt_answers_it(
    transport: PostgresTransport, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await transport.declare(Queue("worker"))
    await publish(transport, "first", "second")
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        assert delivery.receipt is not None
        gone = "DELETE FROM queue_messages WHERE id = $1 AND receipt = $2"
        assert (
            await connection.execute(gone, delivery.receipt.message, uuid.UUID(delivery.receipt.receipt)) == "DELETE 1"
        )
        delivery.acknowledged()
        second = await next_of(stream)  # there is room for it
        assert second.body == b"second"
        await second.ack()


async def test_a_row_of_the_gateways_own_transaction_is_delivered_after_the_bell(
    transport: PostgresTransport, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await transport.declare(Queue("worker"))
    async with transport.receive("worker") as stream:
        waiting = asyncio.create_task(next_of(stream))
        async with connection.transaction():
            await connection.execute(
                f"INSERT INTO {ENQUEUE_TABLE} ({', '.join(ENQUEUE_COLUMNS)}) SELECT $1, unnest($2::bytea[])",
                queue_name("ns", "worker"),
                [b'{"id": "1"}', b'{"id": "2"}'],
            )
        await ring(connection, "ns", ["worker"])
        first = await waiting
        await first.ack()
        second = await next_of(stream)
        await second.ack()
        assert [json.loads(delivery.body)["id"] for delivery in (first, second)] == ["1", "2"]


async def test_a_row_for_an_undeclared_actor_waits_until_a_consumer_receives(
    transport: PostgresTransport, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await connection.execute(
        "INSERT INTO queue_messages (queue, body) VALUES ($1, $2)", queue_name("ns", "later"), b"kept"
    )
    assert await transport.depth("later") == 1
    async with transport.receive("later") as stream:
        delivery = await next_of(stream)
        assert delivery.body == b"kept"
        await delivery.ack()


async def test_a_ring_reaches_receivers_well_before_the_safety_poll(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    transport = PostgresTransport(PostgresSettings(database_url, poll_interval=30), "ns")
    await transport.declare(Queue("worker"))
    async with transport.receive("worker") as stream:
        waiting = asyncio.create_task(next_of(stream))
        await until(lambda: _somebody_listens(connection), 20, "a listener")
        await publish(transport, "now")
        await (await waiting).ack()
    await transport.close()


async def test_a_receiver_that_has_emptied_its_queue_takes_again_only_when_the_bell_rings(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = PostgresTransport(PostgresSettings(database_url, poll_interval=600), "ns")
    await transport.declare(Queue("worker"))
    takes = 0
    take = PostgresReceiver._take_batch

    async def counted(receiver: PostgresReceiver) -> None:
        nonlocal takes
        takes += 1
        await take(receiver)

    monkeypatch.setattr(PostgresReceiver, "_take_batch", counted)
    messages = 20
    async with transport.receive("worker", prefetch=8) as stream:
        for number in range(messages):
            await publish(transport, f"{number}")
            await (await next_of(stream)).ack()
    # Beside those of the messages, the declaration rings, and the bell itself when it has connected.
    assert takes <= messages + 3
    await transport.close()


async def test_one_ring_is_enough_for_more_messages_than_a_receiver_holds(database_url: str) -> None:
    transport = PostgresTransport(PostgresSettings(database_url, poll_interval=600), "ns")
    await transport.declare(Queue("worker"))
    bodies = [f"{number}" for number in range(30)]
    async with transport.receive("worker", prefetch=4) as stream:
        await publish(transport, *bodies)
        held = [await next_of(stream) for _ in range(4)]
        received = [delivery.body.decode() for delivery in held]
        while len(received) < len(bodies):
            await held.pop(0).ack()
            held.append(await next_of(stream))
            received.append(held[-1].body.decode())
        for delivery in held:
            await delivery.ack()
    assert received == bodies
    await transport.close()


async def test_a_cut_bell_rings_again_by_itself(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    transport = PostgresTransport(PostgresSettings(database_url, poll_interval=30), "ns")
    await transport.declare(Queue("worker"))
    async with transport.receive("worker") as stream:
        waiting = asyncio.create_task(next_of(stream))
        await until(lambda: _somebody_listens(connection), 20, "a listener")
        async with asyncio.timeout(15):
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'asya-queues-bell' AND datname = current_database()"
            )
            # Messages that arrive while nothing listens are found by the poll after the reconnect.
            await connection.execute(
                "INSERT INTO queue_messages (queue, body) VALUES ($1, 'unheard')", queue_name("ns", "worker")
            )
            delivery = await waiting
        await delivery.ack()
    await transport.close()


async def _somebody_listens(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'asya-queues-bell' "
            "AND datname = current_database() AND query ILIKE 'SELECT 1%'"
        )
    )


async def test_takes_and_answers_go_by_index_whatever_else_waits(
    transport: PostgresTransport, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await connection.execute("ANALYZE queue_messages")  # statistics of an empty table
    await connection.execute("SET statement_timeout = 0")  # filling the table is not what is tested
    await connection.execute(
        "INSERT INTO queue_messages (queue, body) SELECT 'asya-ns-other', '{}' FROM generate_series(1, 200000)"
    )
    await connection.execute(
        "INSERT INTO queue_messages (queue, body) SELECT 'asya-ns-worker', '{}' FROM generate_series(1, 100)"
    )
    identities, receipts = [1, 2, 3], [uuid.uuid4() for _ in range(3)]
    second = timedelta(seconds=1)
    for statement, arguments in (
        (statements.TAKE, ("asya-ns-worker", 10, second, 5, "asya-ns-dlq", "worker", True)),
        (statements.ACK, (identities, receipts)),
        (statements.NACK, (1, receipts[0], "asya-ns-worker", second, 5, "asya-ns-dlq", "worker")),
        (statements.REQUEUE, (1, receipts[0], b"", second)),
        (statements.EXTEND, (identities, receipts, second)),
        (statements.GIVE_BACK, (identities, receipts, [True] * 3)),
        (statements.DELETE_MESSAGES, ("asya-ns-worker", 100)),
        (statements.DEPTH, ("asya-ns-worker",)),
    ):
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments)
        [plan] = json.loads(rows[0][0])
        assert "Seq Scan" not in json.dumps(plan), statement
        touched = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        assert touched < 1500, (touched, statement)  # of about 3,000 of the table alone


async def test_two_namespaces_do_not_see_each_other(database_url: str) -> None:
    ours = PostgresTransport(PostgresSettings(database_url), "a")
    theirs = PostgresTransport(PostgresSettings(database_url), "b")
    await ours.declare(Queue("worker"))
    await theirs.declare(Queue("worker"))
    await publish(ours, "ours")
    assert [await ours.depth("worker"), await theirs.depth("worker")] == [1, 0]
    await ours.close()
    await theirs.close()


def test_a_bell_carries_any_number_of_actors_in_payloads_that_postgres_takes() -> None:
    actors = [f"actor-{number}-" + "ž" * 50 for number in range(1000)]
    texts = payloads(actors)
    assert sorted(",".join(texts).split(",")) == sorted(actors)
    assert all(len(text.encode()) <= PAYLOAD_BYTES for text in texts)
    assert payloads([]) == []


def test_the_longest_namespace_has_a_channel_that_is_an_identifier() -> None:
    names = {bell_channel("n" * 63), bell_channel("n" * 62 + "m"), bell_channel("default")}
    assert len(names) == 3
    assert all(len(name) < 64 for name in names)

"""The dispatcher between a real Postgres and a real RabbitMQ: committed means it will be delivered."""

import asyncio
import itertools
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from asya_actor.failures import broken
from asya_actor.forwarding import failed
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_crds.hop_reports import EndOutcome
from asya_crds.status import TaskStatus
from asya_gateway.delivery.dispatcher import Dispatcher
from asya_gateway.domain.hop_reports import Send, UnroutableRule
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.ports import OutboxEntry, Refused
from asya_gateway.domain.reports import FinalReport
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.database import Database
from asya_gateway.storage.queues.outbox import PostgresOutbox
from asya_gateway.storage.store import Keeping, Storage
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE, into_outbox
from asya_gateway.storage.tasks.noting import Notes
from asya_transports.opening import open_transport
from asya_transports.port import Queue, Transport
from asya_transports.rabbitmq.settings import MAX_MESSAGE_BYTES, RabbitSettings
from servers.proxy import TcpProxy
from servers.rabbitmq import RabbitNode
from tests.support.hops import begin, end
from tests.support.storage import new_task
from tests.support.waiting import lasts, until


@dataclass
class Accepting:
    """One process that accepts and dispatches."""

    storage: Storage
    dispatcher: Dispatcher
    outbox: PostgresOutbox

    async def accept(self, actor: str = "first") -> str:
        new = new_task(route=Route((), actor, ()).to_json(), actor=actor)
        await self.storage.tasks.create(new)
        return new.id

    async def rows(self) -> int:
        found: int = await self.storage.database.fetchval("SELECT count(*) FROM outbox")
        return found


@pytest.fixture
async def broker(rabbitmq_vhost_url: str) -> AsyncIterator[Transport]:
    transport = open_transport(RabbitSettings(rabbitmq_vhost_url), "default")
    await transport.declare(Queue("first"))
    yield transport
    await transport.close()


@asynccontextmanager
async def accepting(
    database_url: str,
    rabbitmq_url: str,
    *,
    dispatching: bool = True,
    lease: float = OUTBOX_LEASE,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> AsyncIterator[Accepting]:
    database = Database(database_url, min_size=1, max_size=6, statement_timeout=20)

    async def note(notes: Notes) -> None:
        await storage.tasks.note(notes)

    outbox = PostgresOutbox(database, note)
    settings = RabbitSettings(rabbitmq_url, publish_timeout=1.0, max_message_bytes=max_message_bytes)
    transport = open_transport(settings, "default")

    async def finish(report: FinalReport) -> None:
        await storage.tasks.finish(report)

    dispatcher = Dispatcher(outbox, transport, finish, lease=lease)
    hand_over = dispatcher.hand_over if dispatching else lambda _entries: None
    storage = Storage(database, into_outbox(hand_over), limits=Limits(), keeping=Keeping(tasks=86_400, updates=86_400))
    await storage.start()
    if dispatching:
        await dispatcher.start()
    try:
        yield Accepting(storage, dispatcher, outbox)
    finally:
        if dispatching:
            await dispatcher.stop()
        await transport.close()
        await storage.stop()


async def test_what_is_accepted_is_published_confirmed_and_forgotten(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url) as process:
        await asyncio.gather(*(process.accept() for _ in range(500)))
        await until(lambda: process.dispatcher.published == 500)
        assert await until(process_has_no_rows(process))
        assert await until(lambda: depth_is(broker, "first", 500))


def process_has_no_rows(process: Accepting) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await process.rows() == 0

    return check


async def depth_is(broker: Transport, actor: str, expected: int) -> bool:
    return await broker.depth(actor) == expected


async def test_rows_of_a_process_that_died_after_its_commit_are_taken_over(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, dispatching=False) as dead:
        for _ in range(20):
            await dead.accept()
        assert await dead.rows() == 20
        async with accepting(database_url, rabbitmq_vhost_url) as other:
            assert await until(process_has_no_rows(other), 30)
        assert await until(lambda: depth_is(broker, "first", 20))


async def test_a_fresh_row_is_left_to_the_process_that_accepted_it(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, dispatching=False) as process:
        await process.accept()
        assert await process.outbox.take(100, 100) == []


async def test_one_actor_without_a_queue_starves_nobody_and_its_rows_keep_the_reason(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url) as process:
        await asyncio.gather(*(process.accept("nowhere") for _ in range(300)))
        await asyncio.gather(*(process.accept("first") for _ in range(50)))
        assert await until(lambda: depth_is(broker, "first", 50))
        await until(lambda: process.dispatcher.refused >= 300)

        async def reasons() -> bool:
            rows = await process.storage.database.fetch("SELECT DISTINCT last_error, attempts > 0 AS tried FROM outbox")
            return bool(rows) and all(row["tried"] and "nowhere" in row["last_error"] for row in rows)

        assert await until(reasons)
        await broker.declare(Queue("nowhere"))
        assert await until(lambda: depth_is(broker, "nowhere", 300), 40)


async def test_a_missing_queue_is_said_in_the_log_once_and_its_rows_go_out_when_it_comes(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url) as process:
        task_id = await process.accept("nowhere")

        async def messages() -> list[str | None]:
            found = await process.storage.tasks.updates(task_id, 0)
            return [update.entry.message for update in found.updates]

        async def attempts() -> bool:
            return bool(await process.storage.database.fetchval("SELECT attempts >= 4 FROM outbox"))

        assert await until(attempts, 40)
        said = "Waiting for the queue of nowhere: no queue accepts messages for nowhere"
        assert await messages() == ["Task created", said]
        assert await process.storage.database.fetchval("SELECT unroutable FROM outbox") == said.partition(": ")[2]
        # A later call finds the queue, and those that wait for their next attempt follow.
        await process.storage.database.execute("UPDATE outbox SET not_before = now() + interval '1 hour'")
        await broker.declare(Queue("nowhere"))
        await process.accept("nowhere")
        assert await until(lambda: depth_is(broker, "nowhere", 2))
        assert await until(process_has_no_rows(process))


async def test_an_envelope_that_the_queue_system_refuses_ends_its_task_at_once(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, max_message_bytes=2) as process:
        task_id = await process.accept()

        async def ended() -> bool:
            task = await process.storage.tasks.get(task_id, owner=EVERY_OWNER)
            return task is not None and task.status is TaskStatus.FAILED

        assert await until(ended)
        task = await process.storage.tasks.get(task_id, owner=EVERY_OWNER)
        assert task is not None
        assert task.error is not None
        assert task.error.code == "envelope_too_large"
        assert "the limit is 2" in task.error.message
        assert await until(process_has_no_rows(process))
    assert await broker.depth("first") == 0


async def accept_end(process: Accepting, *sends: Send, unroutable: UnroutableRule) -> str:
    """A task whose first hop has handed on these envelopes of it."""
    await process.storage.database.execute("DELETE FROM outbox")
    task_id = await process.accept()
    await process.storage.tasks.begin(begin(task_id))
    report = end(task_id, *(send._replace(task_id=task_id) for send in sends), unroutable=unroutable)
    assert (await process.storage.tasks.end(report)).outcome is EndOutcome.ENDED
    return task_id


def envelope(actor: str, payload: str = '{"n":1}') -> Send:
    body = Envelope("t", Route(("first",), actor), headers={"h": "x" * 2000, "k": "v"}).to_json(payload)
    return Send(actor, "t", body)


async def received(broker: Transport, actor: str) -> dict[str, Any]:
    """The next message of an actor, acknowledged."""
    async with asyncio.timeout(30), broker.receive(actor) as stream:
        delivery = await anext(stream)
        found: dict[str, Any] = jsontext.loads(delivery.body)
        await delivery.ack()
    return found


async def test_an_envelope_of_a_hop_whose_queue_stays_missing_fails_its_task_in_time(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    await broker.declare(Queue("x-sump"))
    async with accepting(database_url, rabbitmq_vhost_url) as process:
        began = time.monotonic()
        await accept_end(process, envelope("nowhere"), unroutable=UnroutableRule(2.0, "x-sink", "x-sump"))
        failure = await received(broker, "x-sump")
        assert time.monotonic() - began >= 2.0
        worded = broken("Unroutable", failure["status"]["error"]["message"])
        expected = failed(Envelope.from_json(envelope("nowhere").body), worded, "nowhere", reason="RuntimeError")
        for made in (failure["status"], found := expected.as_dict()["status"]):
            del made["updated_at"], made["created_at"]
        assert failure["status"] == found
        assert failure["payload"] == expected.payload
        assert "nowhere cannot be sent to: " in worded.message
        assert (failure["headers"], failure["route"]) == (dict(expected.headers), expected.route.as_dict())
        assert await until(process_has_no_rows(process))


async def test_an_envelope_of_a_hop_for_a_queue_that_comes_in_time_arrives(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url) as process:
        await accept_end(process, envelope("late"), unroutable=UnroutableRule(60.0, "x-sink", "x-sump"))
        await until(lambda: process.dispatcher.refused > 0)
        await broker.declare(Queue("late"))
        assert (await received(broker, "late"))["payload"] == {"n": 1}


async def test_those_for_x_sink_wait_for_its_queue(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    await broker.declare(Queue("x-sump"))
    async with accepting(database_url, rabbitmq_vhost_url) as process:
        await accept_end(process, envelope("x-sink"), unroutable=UnroutableRule(0.0, "x-sink", "x-sump"))
        await until(lambda: process.dispatcher.refused > 1)
        await broker.declare(Queue("x-sink"))
        assert (await received(broker, "x-sink"))["payload"] == {"n": 1}
    assert await broker.depth("x-sump") == 0


async def test_an_envelope_of_a_hop_that_is_too_large_fails_its_task_without_the_payload_if_need_be(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    await broker.declare(Queue("x-sump"))
    async with accepting(database_url, rabbitmq_vhost_url, max_message_bytes=1500) as process:
        payload = jsontext.dumps("x" * 3_000)
        await accept_end(process, envelope("first", payload), unroutable=UnroutableRule(60.0, "x-sink", "x-sump"))
        failure = await received(broker, "x-sump")
        error = failure["status"]["error"]
        assert (error["type"], error["class"], error["code"]) == ("TooLarge", "runtime", "envelope_too_large")
        assert "the limit is 1500" in error["message"]
        assert (failure["payload"], failure["headers"]) == ({"error": "runtime_error"}, {"k": "v"})
        assert await until(process_has_no_rows(process))


async def test_a_failure_that_cannot_be_sent_at_all_ends_its_task(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, max_message_bytes=200) as process:
        task_id = await accept_end(process, envelope("first"), unroutable=UnroutableRule(60.0, "x-sink", "x-sump"))

        async def ended() -> bool:
            task = await process.storage.tasks.get(task_id, owner=EVERY_OWNER)
            return task is not None and task.status is TaskStatus.FAILED

        assert await until(ended, 30)
        assert await until(process_has_no_rows(process))


async def test_a_broker_that_forbids_publishing_lets_the_rows_wait(
    database_url: str, rabbitmq_node: RabbitNode, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    vhost = urllib.parse.urlsplit(rabbitmq_vhost_url).path.removeprefix("/")
    rabbitmq_node.request("PUT", "/users/reader", {"password": "reader", "tags": ""})
    readers = {"configure": ".*", "write": "^$", "read": ".*"}
    rabbitmq_node.request("PUT", f"/permissions/{vhost}/reader", readers)
    url = rabbitmq_vhost_url.replace("guest:guest", "reader:reader")
    async with accepting(database_url, url) as process:
        ids = await asyncio.gather(*(process.accept() for _ in range(5)))
        await until(lambda: process.dispatcher.refused >= 5)

        async def reasons() -> bool:
            rows = await process.storage.database.fetch("SELECT last_error FROM outbox WHERE attempts > 0")
            return len(rows) == 5 and all("ACCESS_REFUSED" in row["last_error"] for row in rows)

        assert await until(reasons)
        for task_id in ids:
            task = await process.storage.tasks.get(task_id, owner=EVERY_OWNER)
            assert task is not None
            assert task.status is TaskStatus.PENDING
        rabbitmq_node.request("PUT", f"/permissions/{vhost}/reader", {**readers, "write": ".*"})
        assert await until(lambda: depth_is(broker, "first", 5), 40)


async def test_an_envelope_that_is_refused_again_and_again_waits_longer_each_time(
    database_url: str, rabbitmq_vhost_url: str
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, dispatching=False) as process:
        await process.accept()
        database = process.storage.database
        row = await database.fetchval("SELECT id FROM outbox")
        waits = []
        for attempt in range(1, 11):
            await process.outbox.failed([Refused(OutboxEntry(row, "t", "first", b""), f"no {attempt}")])
            found = await database.fetchrow(
                "SELECT attempts, last_error, extract(epoch FROM not_before - now())::float8 AS wait FROM outbox"
            )
            assert found is not None
            assert (found["attempts"], found["last_error"]) == (attempt, f"no {attempt}")
            waits.append(found["wait"])
        assert all(later > earlier * 1.5 for earlier, later in itertools.pairwise(waits[:7]))
        assert max(waits) <= 60
        assert await process.outbox.take(100, 100) == []


async def test_an_outbox_of_two_actors_is_taken_in_fair_shares(database_url: str, rabbitmq_vhost_url: str) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, dispatching=False) as process:
        await asyncio.gather(*(process.accept("busy") for _ in range(200)))
        await asyncio.gather(*(process.accept("quiet") for _ in range(3)))
        await process.storage.database.execute("UPDATE outbox SET not_before = now()")
        taken = [entry.actor for entry in await process.outbox.take(100, 10)]
        assert (taken.count("busy"), taken.count("quiet")) == (10, 3)
        assert "quiet" not in [entry.actor for entry in await process.outbox.take(300, 300)]


async def test_rows_are_taken_by_their_bytes_each_actors_first_before_any_actors_second(
    database_url: str, rabbitmq_vhost_url: str
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, dispatching=False) as process:
        await asyncio.gather(*(process.accept(actor) for actor in "aaaaabbbbb"))
        await process.storage.database.execute("UPDATE outbox SET not_before = now(), body = repeat('x', 1000000)")
        taken = [[entry.actor for entry in await process.outbox.take(100, 100, most)] for most in (4_500_000, 10)]
        assert [sorted(actors) for actors in taken] == [["a", "a", "b", "b"], taken[1]]
        assert len(taken[1]) == 1


async def test_ten_actors_with_a_full_share_each_starve_no_eleventh(database_url: str, rabbitmq_vhost_url: str) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, dispatching=False) as process:
        await asyncio.gather(*(process.accept(actor) for actor in [*"abcdefghij" * 200, "z"]))
        await process.storage.database.execute("UPDATE outbox SET not_before = now()")
        taken = [entry.actor for entry in await process.outbox.take(2_000, 200)]
        assert taken.count("z") == 1
        assert {taken.count(actor) for actor in "abcdefghij"} == {2_000 // 11}


async def test_of_more_actors_than_rows_may_be_taken_each_comes_in_its_turn(
    database_url: str, rabbitmq_vhost_url: str
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url, dispatching=False) as process:
        await asyncio.gather(*(process.accept(f"actor-{number}") for number in range(30)))
        await process.storage.database.execute("UPDATE outbox SET not_before = now()")
        taken = [[entry.actor for entry in await process.outbox.take(10, 200)] for _ in range(3)]
        assert [len(set(actors)) for actors in taken] == [10, 10, 10]
        assert len({actor for actors in taken for actor in actors}) == 30


@pytest.mark.timeout(120)
async def test_with_the_broker_down_calls_are_accepted_and_delivered_when_it_is_back(
    database_url: str, rabbitmq_node: RabbitNode, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    async with accepting(database_url, rabbitmq_vhost_url) as process:
        await process.accept()
        assert await until(lambda: depth_is(broker, "first", 1))
        rabbitmq_node.stop()
        try:
            await asyncio.gather(*(process.accept() for _ in range(50)))
            await until(lambda: process.dispatcher.refused > 0, 30)
            assert await process.rows() == 50
        finally:
            rabbitmq_node.start()
        assert await until(process_has_no_rows(process), 60)

        async def all_there() -> bool:
            # At least once: a publish that was cut in its confirmation is published again.
            return await broker.depth("first") >= 51

        assert await until(all_there, 30)


async def test_no_transaction_is_open_while_a_broker_that_does_not_answer_is_waited_for(
    database_url: str, rabbitmq_vhost_url: str, broker: Transport
) -> None:
    """It would pin vacuum for the whole database (ran)."""
    proxy, url = await TcpProxy.before(rabbitmq_vhost_url)
    try:
        async with accepting(database_url, url) as process:
            await process.accept()
            assert await until(process_has_no_rows(process))
            proxy.stall()
            waiting = [asyncio.create_task(process.accept()) for _ in range(20)]
            await asyncio.gather(*waiting)
            # Each publish waits a second for its confirmation.
            await until(lambda: process.dispatcher.refused > 0, 20)
            for _ in range(20):
                pinned = await process.storage.database.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND now() - xact_start > interval '500 milliseconds'"
                )
                assert pinned == 0
                await lasts(0.05)
            proxy.flow()
            assert await until(process_has_no_rows(process), 40)
    finally:
        await proxy.close()

"""Everything that the gateway asks of PostgreSQL for a task, its readers, lists, pushes and sessions, and what it does
by the clock: each measured by the blocks that it touches and its time."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from asya_crds.status import HopState, TaskStatus
from asya_gateway.domain.conversation_lists import ConversationFilter
from asya_gateway.domain.destinations import DeliveryCapacity, DeliveryProgress, Destination
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.ports import TaskFilter, Terms
from asya_gateway.domain.reports import Claim
from asya_gateway.domain.sessions.ports import InboxMessage, OpenCall, SessionTask
from asya_gateway.domain.sessions.session import NewSession, SessionId, SessionTransport
from asya_gateway.storage.a2a.conversations import PostgresConversations
from asya_gateway.storage.a2a.lists import PostgresConversationLists
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.channels.destinations import PostgresDestinations
from asya_gateway.storage.channels.leases import PostgresDeliveries
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.health import VitalsReader
from asya_gateway.storage.queues.counting import OutboxCounting
from asya_gateway.storage.queues.outbox import PostgresOutbox
from asya_gateway.storage.tasks.growing import grown
from asya_gateway.storage.tasks.outcomes import Awaited, outcomes
from bench.figures import median
from bench.scale.filling import OLD, OPEN, OWNERS
from servers.statement_costs import StatementCost, counting
from tests.support.hops import begin, end, send
from tests.support.storage import Running, make_storage, new_task, progress, succeeded

BATCH = 20
"""Tasks of the statements that are measured for many."""
RETIRED = "retention: 200 old tasks"
HEAVY_ROUNDS = 3
"""Rounds in which that is measured."""
_LISTED = frozenset({"shout"})


class Costs:
    """Blocks and milliseconds of each operation, one value for each time that it was measured."""

    def __init__(self) -> None:
        self.blocks: dict[str, list[float]] = defaultdict(list)
        self.ms: dict[str, list[float]] = defaultdict(list)
        self._name: str | None = None
        self._now: list[StatementCost] = []

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """The statements of the block together are an operation of this name."""
        self._name, self._now = name, []
        try:
            yield
        finally:
            self._name = None
        self.blocks[name].append(sum(cost.blocks for cost in self._now))
        self.ms[name].append(sum(cost.ms for cost in self._now))

    @contextmanager
    def counting(self) -> Iterator[None]:
        """During the block, statements of this process are counted."""
        execute = asyncpg.Connection._execute  # type: ignore[attr-defined]
        asyncpg.Connection._execute = counting(  # type: ignore[attr-defined]
            lambda cost: self._now.append(cost), lambda: self._name is not None
        )
        try:
            yield
        finally:
            asyncpg.Connection._execute = execute  # type: ignore[attr-defined]

    def medians(self) -> dict[str, tuple[float, float]]:
        """(blocks, ms) of each operation."""
        return {name: (median(self.blocks[name]), median(self.ms[name])) for name in self.blocks}


@asynccontextmanager
async def storage_of(database_url: str) -> AsyncIterator[Running]:
    """A storage whose loops do not run, so that every statement is one of the operations'."""
    made = make_storage(database_url)
    await made.storage.database.open()
    try:
        yield made
    finally:
        await made.storage.database.close()


async def measure(running: Running, rows: int, rounds: int, costs: Costs) -> None:
    """Every operation `rounds` times, beside so many ended tasks."""
    with costs.counting():
        # What is planned for the first time after the tables were analysed is not what is measured.
        await _round(running, rows, Costs(), 0)
        for number in range(rounds):
            await _round(running, rows, costs, number)


async def _round(running: Running, rows: int, costs: Costs, number: int) -> None:
    await _life(running, costs)
    await _batches(running, costs)
    await _readers(running, costs, f"old-{random.randint(1, rows):010d}")
    await _lists(running, costs, f"o{random.randrange(OWNERS)}", f"talk-{random.randrange(rows // 20)}")
    await _deliveries(running, costs)
    await _sessions(running, costs)
    await _by_the_clock(running, costs, heavy=number < HEAVY_ROUNDS)


async def _life(running: Running, costs: Costs) -> None:
    tasks = running.tasks
    with costs.of("create"):
        task_id = await running.create()
    new = new_task(owner="o1")
    with costs.of("create with an idempotency key and a cap"):
        await tasks.admit(new, Terms(key=new.id, digest=b"d", owner_cap=10_000))
    with costs.of("find the call of a key"):
        await tasks.find_call("o1", new.id, b"d")
    with costs.of("claim (received)"):
        await tasks.report(progress(task_id, claim=Claim("0", 1, "w")))
    with costs.of("report"):
        await tasks.report(progress(task_id))
    with costs.of("report the end of a hop"):
        await tasks.report(progress(task_id, HopState.COMPLETED, claim=Claim("0", 1, "w")))
    with costs.of("begin of a hop (our workers)"):
        await tasks.begin(begin(task_id, hop="1"))
    with costs.of("end of a hop, two envelopes (our workers)"):
        await tasks.end(end(task_id, send(task_id), send(f"{task_id}-1", parent=task_id), hop="1"))
    with costs.of("/active"):
        await tasks.active(task_id)
    with costs.of("end of a task"):
        await tasks.finish(succeeded(f"{task_id}-1"))


async def _batches(running: Running, costs: Costs) -> None:
    tasks = running.tasks
    news = [new_task() for _ in range(BATCH)]
    ids = [new.id for new in news]
    with costs.of(f"create, {BATCH} at once"):
        await asyncio.gather(*(tasks.create(new) for new in news))
    with costs.of(f"begin, {BATCH} at once"):
        await asyncio.gather(*(tasks.begin(begin(id, hop="0")) for id in ids))
    with costs.of(f"end of a hop, {BATCH} at once"):
        await asyncio.gather(*(tasks.end(end(id, send(id), hop="0")) for id in ids))
    with costs.of(f"end of a task, {BATCH} at once"):
        await asyncio.gather(*(tasks.finish(succeeded(id)) for id in ids))


async def wal_of_a_task(running: Running) -> float:
    """Kilobytes of the write-ahead log for a task with one hop: call, begin, end of the hop, end of the task."""
    database = running.storage.database
    await _whole_tasks(running, 100)
    before = await database.fetchval("SELECT pg_current_wal_lsn()::text")
    await _whole_tasks(running, 400)
    written = await database.fetchval("SELECT pg_current_wal_lsn() - $1::text::pg_lsn", before)
    return float(written) / 400 / 1024


async def _whole_tasks(running: Running, number: int) -> None:
    for _ in range(number // BATCH):
        ids = await asyncio.gather(*(running.create() for _ in range(BATCH)))
        await asyncio.gather(*(running.tasks.begin(begin(id, hop="0")) for id in ids))
        await asyncio.gather(*(running.tasks.end(end(id, send(id), hop="0")) for id in ids))
        await asyncio.gather(*(running.tasks.finish(succeeded(id)) for id in ids))


async def _readers(running: Running, costs: Costs, old: str) -> None:
    hot = running.storage.database.hot
    with costs.of("GET task"):
        await running.tasks.get(old, owner=EVERY_OWNER)
    with costs.of("follow: snapshot"):
        await running.tasks.snapshot(old, 0, owner=EVERY_OWNER)
    with costs.of(f"follow: what is new, {BATCH} readers"):
        await grown(hot, [(f"open-{random.randint(1, OPEN):010d}", 1) for _ in range(BATCH)])
    with costs.of("wait for the end of a task"):
        await outcomes(hot, [Awaited(old, EVERY_OWNER, payload=True, known=False)])


async def _lists(running: Running, costs: Costs, owner: str, talk: str) -> None:
    conversations = PostgresConversationLists(running.storage.database)
    for who, name in (
        (OwnedBy("steady"), "of 1,000"),
        (OwnedBy(owner), "of a fiftieth"),
        (EVERY_OWNER, "of everybody"),
    ):
        with costs.of(f"list tasks {name}, a page of 50"):
            await running.list(TaskFilter(owner=who, limit=50))
        with costs.of(f"list failed tasks {name}"):
            await running.list(TaskFilter(owner=who, status=TaskStatus.FAILED, limit=50))
    with costs.of("list tasks of a context"):
        await running.list(TaskFilter(owner=OwnedBy(owner), context_id=talk, limit=50))
    for whose, name in (("steady", "of 1,000"), (owner, "of a fiftieth")):
        query = ConversationFilter(owner=whose, flows=_LISTED, limit=50)
        with costs.of(f"A2A ListTasks {name}: a page"):
            page = await conversations.places(query)
            await conversations.contents(whose, page.found, messages=None, results=True)
        with costs.of(f"A2A ListTasks {name}: totalSize"):
            await conversations.count(query)


async def _deliveries(running: Running, costs: Costs) -> None:
    database, task_id = running.storage.database, await running.create()
    announcing = DestinationAnnouncements(running.storage.bell)
    destinations = PostgresDestinations(database, announcing)
    queue = PostgresDeliveries(
        database, announcing, channels=["a2a"], per_host=8, per_owner=64, limits=Limits(), longest=10.0
    )
    with costs.of("push: put a destination"):
        await destinations.put(Destination(task_id, "a2a", "x", "", "https://e.example/", task_id, {}))
    await running.tasks.report(progress(task_id))
    with costs.of("push: lease of a task that has changed"):
        leased = await queue.lease([task_id], DeliveryCapacity(), 100)
    with costs.of("push: poll for what lags"):
        await queue.lease(None, DeliveryCapacity(), 100)
    with costs.of("push: settle"):
        await asyncio.gather(
            *(
                queue.settle(DeliveryProgress(each.key, each.lease, 2, "running", release=True, done=True))
                for each in leased
            )
        )
    with costs.of("push: measure the lag"):
        await queue.lag()
    with costs.of("A2A: find a conversation"):
        await PostgresConversations(database.hot).of_task(task_id)


async def _sessions(running: Running, costs: Costs) -> None:
    parts, request = running.storage.sessions.parts, bytes(range(16))
    session = NewSession(SessionId.new().key, SessionTransport.HTTP, "o1", revision="2025-11-25")
    with costs.of("session: create"):
        await parts.sessions.create(session)
    with costs.of("session: find"):
        await parts.sessions.find(session.key, "o1")
    with costs.of("session: open its stream"):
        await parts.sessions.open_stream(session.key)
    with costs.of("session: register and find a call"):
        await parts.calls.register(OpenCall(session.key, request, "old", {"id": 1}))
        await parts.calls.find(session.key, request)
    with costs.of("session: its tasks"):
        await parts.tasks.add(session.key, SessionTask("old", "token"))
        await parts.tasks.unfinished(session.key)
    with costs.of("session: inbox"):
        await parts.inbox.put(session.key, InboxMessage(None, "{}"))
        await parts.inbox.take(session.key, len(await parts.inbox.sizes(session.key)))
    with costs.of("session: end"):
        await parts.sessions.end(session.key, "o1")


async def _by_the_clock(running: Running, costs: Costs, *, heavy: bool) -> None:
    storage, database = running.storage, running.storage.database
    # Envelopes of this process are its own for a moment, and would be taken now and then only.
    await database.execute("DELETE FROM outbox WHERE not_before < now() + interval '1 hour'")
    outbox = PostgresOutbox(database)
    await outbox.take(1, 1)
    with costs.of("outbox: poll, nothing due"):
        await outbox.take(200, 200)
    with costs.of("backlog: count what waits"):
        await OutboxCounting(database).count(10_000)
    with costs.of("sweeper: overdue tasks"):
        await storage.sweeper.sweep()
    with costs.of("sweeper: orphans"):
        await storage.sweeper.sweep_orphans()
    with costs.of("pauses that expire"):
        await storage.expiry.expire()
    with costs.of("vitals for metrics"):
        await VitalsReader(database, None).read()
    with costs.of("sessions that are idle"):
        await storage.sessions.retention.retire()
    if heavy:
        await database.execute(OLD)
        with costs.of(RETIRED):
            await storage.retention.retire()


def order(costs: Sequence[Costs]) -> list[str]:
    """The operations in the order in which they are measured."""
    return list(dict.fromkeys(name for each in costs for name in each.blocks))

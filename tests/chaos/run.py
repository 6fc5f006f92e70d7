"""One run: a deployment, its callers at a steady rate, a controller that breaks things, and the verdict."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from asya_crds.naming import CREW, DEAD_LETTERS
from servers.pubsub import PubSubServer
from servers.rabbitmq import RabbitNode
from servers.sqs import sqs_stand_in
from tests.chaos.checker import Verdict, judge
from tests.chaos.clients import MIX
from tests.chaos.controller import BROKER_STARTS_WITHIN, Controller
from tests.chaos.holdings import POLLED_IN_TURN, QUEUES, Holdings, holdings, leaks, level
from tests.chaos.logs import unhandled
from tests.chaos.others import Others
from tests.chaos.owners import Owner, owners
from tests.chaos.records import Records, read
from tests.chaos.world import ACTORS, ClosedWorld
from tests.faults.pair import Pair
from tests.faults.queues import PubSubQueues, Queues, SqsQueues, in_database, virtual_host
from tests.support.waiting import lasts

MOST_UNDER_WAY = 400
TOLD_AFTER = 30.0
CALM = 10.0
"""Seconds of load after the last fault."""
MORE_TIME = 120.0
"""Seconds that a brief run may take longer on a slow machine."""
REST = 300.0
"""Seconds in which everything comes to rest after the last fault."""
LET_GO_WITHIN = 90.0
"""Seconds in which processes let go of what they needed."""
KINDS = (*MIX, *MIX, "mcp-stream", "a2a-stream")
MOST_WAITING, MOST_WAITING_BRIEFLY = 150, 60
"""Messages that may wait for an actor, and in a brief run; beyond them calls are refused."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` of load with faults, or less if `tasks` calls are accepted before, at `rate` calls a second; `pause`
    seconds between two faults. `brief`: faults are short, and each that is essential is done once."""

    transport: str
    seconds: float
    rate: float
    pause: float
    seed: int
    folder: Path
    tasks: int | None = None
    brief: bool = False


@dataclass
class Outcome:
    """What a run gave."""

    verdict: Verdict
    calls: int
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


async def run(plan: Plan) -> Outcome:
    """Run the plan. Raises AssertionError if the deployment does not start."""
    began = time.monotonic()
    callers = owners()
    async with _deployed(plan, callers) as world:
        path = plan.folder / "clients.jsonl"
        records = Records(path)
        before = await level(world)
        clients = Others(world.api.url, records, callers)
        controller = Controller(world, clients, plan.seed, brief=plan.brief)
        clients.mix = KINDS
        try:
            until = time.monotonic() + plan.seconds
            async with asyncio.TaskGroup() as both:
                last = until + (MORE_TIME if plan.brief else 0)
                calling = both.create_task(clients.run(last, plan.rate, MOST_UNDER_WAY, plan.tasks))
                await controller.run(until - CALM, plan.pause, calling.done)
                clients.until = max(until, time.monotonic())
            unfinished = await clients.drained(REST)
            left = await _left_at_rest(world.direct_url)
        finally:
            await clients.close()
            records.close()
        verdict = await judge(world.direct_url, read(path))
        if unfinished:
            verdict.problems.append(f"{unfinished} clients did not come to an end")
        verdict.problems += [f"{REST:g} s after the last fault: {each}" for each in left]
        verdict.problems += await _leaked(world, before)
        verdict.problems += await _messages_left(world)
        verdict.problems += controller.undone()
        verdict.problems += unhandled(process.log for process in world.processes.values())
        return Outcome(verdict, clients.begun, controller.counts, time.monotonic() - began)


@contextlib.asynccontextmanager
async def _deployed(plan: Plan, callers: Sequence[Owner]) -> AsyncIterator[ClosedWorld]:
    with contextlib.ExitStack() as stack:
        pair = Pair()
        stack.callback(pair.close)
        pair.start()
        rabbit, queues = _queues(plan.transport, stack)
        most = MOST_WAITING_BRIEFLY if plan.brief else MOST_WAITING
        world = ClosedWorld(
            plan.folder, pair.primary, rabbit, queues=queues, pair=pair, owners=callers, most_waiting=most
        )
        try:
            await world.up()
            pair.synchronous()
            yield world
        finally:
            await world.close()


def _queues(transport: str, stack: contextlib.ExitStack) -> tuple[RabbitNode | None, Queues]:
    """The queue system, started, and ended with the stack. SQS is ElasticMQ, which keeps time itself, or else moto."""
    match transport:
        case "postgres":
            return None, in_database()
        case "rabbitmq":
            rabbit = RabbitNode()
            stack.callback(rabbit.close)
            rabbit.start(BROKER_STARTS_WITHIN)
            return rabbit, stack.enter_context(virtual_host(rabbit))
        case "sqs":
            server = sqs_stand_in()
            stack.callback(server.close)
            server.start()
            return None, SqsQueues(server)
        case "pubsub":
            fake = PubSubServer()
            stack.callback(fake.close)
            fake.start()
            return None, PubSubQueues(fake, (*ACTORS, *CREW, DEAD_LETTERS))
        case _:
            raise ValueError(transport)


_LEFT = """
SELECT concat_ws(' ', 'task', t.id, t.status, t.flow, 'hops:', (
    SELECT string_agg(concat_ws(' ', h.hop, h.state, h.claimant, h.lease_until), ', ')
    FROM task_hops h WHERE h.task_id = t.id
)) FROM tasks t WHERE t.finished_at IS NULL AND t.status <> 'paused'
UNION ALL
SELECT concat_ws(' ', 'outbox', task_id, actor, attempts, not_before, last_error) FROM outbox
UNION ALL
SELECT concat_ws(' ', 'message', id) FROM queue_messages
"""
"""What is open but questions whose callers have left, and what waits to be sent."""


async def _left_at_rest(database_url: str) -> list[str]:
    """Wait until nothing is left; what is left after all. It is told when the wait becomes long."""
    began, told = time.monotonic(), False
    while True:
        connection = await asyncpg.connect(database_url)
        try:
            left = [row[0] for row in await connection.fetch(_LEFT)]
        finally:
            await connection.close()
        waited = time.monotonic() - began
        if not left or waited > REST:
            return left
        if waited > TOLD_AFTER and not told:
            told = True
            print("still waiting for:", *left[:10], sep="\n  ", flush=True)
        await lasts(1)


async def _messages_left(world: ClosedWorld) -> list[str]:
    """Those of a queue system that tells. The last ones come back from leases of workers that died."""
    if world.queues.transport not in ("sqs", "pubsub"):
        return []
    until = time.monotonic() + REST
    while (left := await asyncio.to_thread(world.queues.left)) and time.monotonic() < until:
        await lasts(1)
    return [f"{left} messages are left in the queues"] if left else []


async def _leaked(world: ClosedWorld, before: Mapping[str, Holdings]) -> list[str]:
    """What processes hold that they do not let go."""
    until = time.monotonic() + LET_GO_WITHIN
    to_queues = POLLED_IN_TURN if world.queues.transport == "sqs" else QUEUES
    while (found := leaks(before, await holdings(world), to_queues)) and time.monotonic() < until:
        await lasts(2)
    return found

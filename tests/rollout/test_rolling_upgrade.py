"""A whole deployment is upgraded pod by pod under the mixed load of the chaos suite, and its callers notice nothing but
connections that were cut and go on elsewhere."""

import asyncio
import contextlib
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from servers.postgres import PostgresServer
from tests.chaos.checker import judge
from tests.chaos.long_streams import LONG, LongStreams
from tests.chaos.records import Record, Records, read
from tests.chaos.world import ACTORS, ChaosWorld
from tests.faults.queues import Queues, in_database, virtual_host
from tests.rollout.versions import TwoVersions
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(300)

FLOWS = """
flows:
  - {name: work, entrypoint: first, routeNext: [second], timeout: 20m, mcp: {}, a2a: {}}
  - {name: ask, entrypoint: first, routeNext: [x-pause, second], timeout: 20m, mcp: {}}
  - {name: spread, entrypoint: spread, routeNext: [second], timeout: 20m, mcp: {}}
  - {name: slow, entrypoint: slow, timeout: 20m, mcp: {}}
  - {name: stages, entrypoint: slow, routeNext: [slow, slow, slow], timeout: 20m, mcp: {}, a2a: {}}
"""
"""Those of the chaos suite, with a question in the form that both versions know."""
BEFORE = ("rest", "stream", "tool", "stages", "ask", "rest", "stages", "cancel", "spread", "stream", "stages")
"""What both versions answer."""
AFTER = (*BEFORE, "mcp", "a2a", *LONG, *LONG)
"""What the new one answers."""
RATE = 8.0
ENDPOINTS = 0.3
"""Seconds from SIGTERM until no new connection comes to a pod."""
OLD, NEW = (0, 1), (2, 3)
WORKERS = (*ACTORS, "crew")


class RollingWorld(ChaosWorld, TwoVersions):
    """The deployment of the chaos suite, in which pods come and go."""

    flows = FLOWS

    def __init__(self, folder: Path, postgres: PostgresServer, queues: Queues, previous: Path) -> None:
        super().__init__(folder, postgres, queues=queues)
        self.previous = previous
        self.of_previous = {f"{kind}-{number}" for kind in ("mesh", "api", *WORKERS) for number in OLD}

    async def join(self, gateways: Sequence[int], workers: Sequence[int]) -> None:
        """New pods serve as soon as they are ready. They accept requests for a second after SIGTERM."""
        await self.begin(gateways, workers, ASYA_DRAIN_DELAY="1s")
        for name in (f"{kind}-{number}" for kind in WORKERS for number in workers):
            await self.ready(name)

    async def leave(self, name: str) -> None:
        """An orderly end, as Kubernetes asks for it: the signal comes first, the end of new connections a moment
        later."""
        process = self.processes.pop(name)
        process.signal(signal.SIGTERM)
        services = {"mesh": self.mesh, "api": self.api}
        if (kind := name.rpartition("-")[0]) in services:
            await lasts(ENDPOINTS)
            services[kind].withdraw(process.url)
        assert process.running is not None
        assert await asyncio.to_thread(process.running.wait, 45) == 0, name


@pytest.fixture(params=["postgres", "rabbitmq"])
async def rolling(
    request: pytest.FixtureRequest, tmp_path: Path, own_postgres: PostgresServer, previous: Path
) -> AsyncIterator[RollingWorld]:
    with contextlib.ExitStack() as stack:
        queues = in_database()
        if request.param == "rabbitmq":
            queues = stack.enter_context(virtual_host(request.getfixturevalue("own_rabbit")))
        made = RollingWorld(tmp_path, own_postgres, queues, previous)
        made.migrate_by_previous()
        await made.connect()
        try:
            yield made
        finally:
            await made.close()
            print(made.logs())


async def test_nothing_is_lost_and_nobody_is_refused_while_each_pod_is_replaced_under_load(
    rolling: RollingWorld, tmp_path: Path
) -> None:
    await rolling.join(OLD, OLD[:1])
    await rolling.call_until_done()
    records = Records(tmp_path / "clients.jsonl")
    clients = LongStreams(rolling.api.url, records)
    clients.mix = BEFORE
    try:
        calling = asyncio.create_task(clients.run(time.monotonic() + 200, RATE, 200))
        await lasts(2)
        await asyncio.to_thread(rolling.migrate)
        await rolling.join(NEW, NEW[:1])
        for kind in WORKERS:
            await rolling.leave(f"{kind}-{OLD[0]}")
        for number in OLD:
            for mode in ("mesh", "api"):
                await rolling.leave(f"{mode}-{number}")
        clients.mix = AFTER
        # Some are watched from their begin to their end by one pod, for comparison with those that move.
        await until(lambda: _long_streams_ended(records), 60, "the end of an undisturbed stream of each kind")
        await rolling.join((NEW[-1] + 1,), ())
        for number in NEW:
            await rolling.leave(f"api-{number}")
        calling.cancel()
        await asyncio.wait([calling])
        assert await clients.drained(90) == 0
        await until(lambda: _nothing_left(rolling), 60, "the end of every task and message")
    finally:
        await clients.close()
        records.close()
    kept = list(read(records.path))
    verdict = await judge(rolling.direct_url, kept)
    assert (verdict.lost, verdict.double, verdict.problems) == ([], [], [])
    assert set(verdict.statuses) == {"succeeded", "canceled"}
    assert verdict.accepted > 100
    # MCP of the version before knows no key, so that a call whose answer was lost there is two tasks.
    repeated = {record.number for record in kept if record.kind == "tool" and record.event == "refused"}
    assert rolling.audit_runs(repeated=repeated), "a hop was begun and not ended"
    _nobody_was_refused(kept)
    _streams_moved(kept)


def _long_streams_ended(records: Records) -> bool:
    records.flush()
    ended = {record.kind for record in read(records.path) if record.event == "ended"}
    return ended >= set(LONG)


async def _nothing_left(world: RollingWorld) -> bool:
    left = (
        "SELECT (SELECT count(*) FROM tasks WHERE finished_at IS NULL) + (SELECT count(*) FROM outbox)"
        " + (SELECT count(*) FROM queue_messages)"
    )
    return bool(await world.query_value(left) == 0)


def _nobody_was_refused(kept: Sequence[Record]) -> None:
    """Connections may be refused or cut. No answer asks to try again, whatever state its pod was in."""
    refused = Counter(record.status for record in kept if record.event in ("refused", "overloaded"))
    assert not {status: count for status, count in refused.items() if status[:3].isdigit()}


def _without_times(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(re.sub(r"\d+", "0", text) for text in texts)


def _streams_moved(kept: Sequence[Record]) -> None:
    """Some streams of each protocol went on elsewhere, and missed nothing: the checker has compared those with the log;
    progress is compared with that of streams which stayed."""
    moved = {kind: {each.number for each in kept if (each.kind, each.event) == (kind, "moved")} for kind in LONG}
    assert all(moved.values()), moved
    told = {record.number: _without_times(record.statuses) for record in kept if record.event == "told"}
    stayed = {texts for number, texts in told.items() if number not in moved["mcp-stream"]}
    assert len(stayed) == 1, stayed
    assert {texts for number, texts in told.items() if number in moved["mcp-stream"]} == stayed

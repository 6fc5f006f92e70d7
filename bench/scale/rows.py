"""How the statements of a task grow with ended tasks, and with open ones."""

import asyncio
import time
from collections.abc import Callable, Sequence

import asyncpg

from bench.scale.filling import OPEN, ended_tasks, open_tasks
from bench.scale.operations import BATCH, RETIRED, Costs, measure, order, storage_of, wal_of_a_task
from bench.scale.tables import Growth, Table
from bench.stage import Stage
from servers.databases import query

ROUNDS = 15
BY_DESIGN = {
    "create with an idempotency key and a cap": 2_500.0,  # counts the owner's open tasks as far as its cap
    f"end of a task, {BATCH} at once": 2_000.0,  # an entry in each index of what has ended, which become deeper
    "A2A ListTasks of 1,000: totalSize": 4_000.0,  # each of the thousand, and whether it is a conversation
    "A2A ListTasks of 1,000: a page": 4_000.0,
    "A2A ListTasks of a fiftieth: totalSize": 15_000.0,  # storage/a2a/listing.py: MOST_COUNTED
    "A2A ListTasks of a fiftieth: a page": 4_000.0,  # the owner's open tasks are sorted
    "push: poll for what lags": 10_000.0,  # each open destination; polls rest for twenty times their time
    "push: measure the lag": 10_000.0,  # the same, each ten seconds
    "outbox: poll, nothing due": 1_000.0,  # storage/queues/outbox.py: BLOCKS
    "backlog: count what waits": 250.0,  # as many rows as the limit of the outbox
    "vitals for metrics": 2_000.0,  # storage/health.py: COUNTED_ROWS
    "session: create": 1_500.0,  # counts the sessions of the owner, at most 1,000
    "sessions that are idle": 3_000.0,  # those without a stream, and the calls of an hour, by one pod each minute
    "list failed tasks of a fiftieth": 120.0,  # a page of 50, of which the smallest size has two
    RETIRED: 1_000_000.0,  # storage/tasks/retention.py: PAGES_A_TURN of each table, by one pod each five minutes
}
"""Blocks up to which an operation may grow, because it looks at rows one by one as far as a constant."""
SMALLEST = 16.0
"""Fewer blocks than this are not compared: one more level of an index is no growth."""


def ended(stage: Stage, sizes: Sequence[int]) -> Table:
    """Beside ended tasks, of which the database has more and more."""
    table = Table("Ended tasks", "blocks / ms of each operation, beside ended tasks", sizes)
    _grow(stage, table, ended_tasks, before=open_tasks(1, OPEN), rows=lambda size: size)
    table.notes.append(
        f"each task with 4 log entries, 2 bodies and a hop, every tenth with a conversation, a destination, a key and "
        f"a changed resource, every hundredth with a session; {OPEN:,} open tasks beside"
    )
    return table


def opened(stage: Stage, sizes: Sequence[int]) -> Table:
    """Beside open tasks, each of which has a destination that waits and an envelope that was refused."""
    table = Table("Open tasks", "blocks / ms of each operation, beside open tasks", sizes)
    _grow(stage, table, open_tasks, before=ended_tasks(1, 10_000), rows=lambda _: 10_000)
    table.notes.append("10,000 ended tasks beside; each open one has a destination and an envelope that was refused")
    return table


def _grow(
    stage: Stage,
    table: Table,
    more: Callable[[int, int], list[str]],
    *,
    before: Sequence[str],
    rows: Callable[[int], int],
) -> None:
    costs, sizes, written = [], [], []
    with stage.database() as url:

        async def run() -> None:
            # One storage for all sizes: what was planned beside few rows is executed beside many.
            async with storage_of(url) as running:
                await _insert(url, before)
                reached = 0
                for size in table.sizes:
                    began = time.monotonic()
                    await _insert(url, more(reached + 1, size))
                    stage.say(f"  {size:,} rows after {time.monotonic() - began:.0f} s")
                    reached = size
                    found = Costs()
                    await measure(running, rows(size), ROUNDS, found)
                    costs.append(found)
                    written.append(await wal_of_a_task(running))
                    sizes.append(query(url, "SELECT pg_database_size(current_database())") / 2**20)

        asyncio.run(run())
    medians = [each.medians() for each in costs]
    for name in order(costs):
        pairs = [found[name] for found in medians]
        judged = [max(blocks, SMALLEST) for blocks, _ in pairs]
        values = [f"{blocks:,.0f} / {ms:.2f}" for blocks, ms in pairs]
        table.lines.append(Growth(name, values, judged, BY_DESIGN.get(name)))
    table.lines.append(Growth("write-ahead log of a task with one hop, kB", [f"{each:.1f}" for each in written]))
    table.lines.append(Growth("the database, MiB", [f"{size:,.0f}" for size in sizes]))


async def _insert(url: str, statements: Sequence[str]) -> None:
    connection = await asyncpg.connect(url, server_settings={"synchronous_commit": "off"})
    try:
        for statement in statements:
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()

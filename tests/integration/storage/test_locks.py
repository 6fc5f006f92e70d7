"""Rows are locked in the order of their ids, and one that stays locked holds up nobody else."""

import asyncio

import asyncpg

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.reports import ChildAnnouncement
from tests.support.hops import begin, declare, delivered, end, send
from tests.support.storage import ROUTE, Running, canceled, make_storage, new_task, progress, succeeded


async def deadlocks(running: Running) -> int:
    found: int = await running.storage.database.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return found


async def test_two_processes_that_create_the_same_tasks_in_any_order_do_not_deadlock(
    running: Running, database_url: str
) -> None:
    """As where the answers to a whole batch were lost and its ids come again beside others."""
    other = make_storage(database_url)
    await other.storage.start()
    try:
        for turn in range(10):
            news = [new_task(f"{turn}-{number}") for number in range(60)]
            await asyncio.gather(
                *(running.tasks.create(new) for new in news), *(other.tasks.create(new) for new in reversed(news))
            )
        database = running.storage.database
        assert await database.fetchval("SELECT count(*) FROM tasks") == 600
        assert await database.fetchval("SELECT count(*) FROM task_updates") == 600
        assert await database.fetchval("SELECT count(*) FROM outbox") == 600
        assert await deadlocks(running) == 0
    finally:
        await other.storage.stop()


async def test_cascades_reports_and_sweeps_of_the_same_tasks_do_not_deadlock(
    running: Running, database_url: str
) -> None:
    other = make_storage(database_url)
    await other.storage.start()
    try:
        for turn in range(5):
            # Children sort before and behind their parents, so that only the order of ids is one for all.
            parents = [f"{turn}-m{number}" for number in range(8)]
            children = [f"{turn}-{side}{number}" for number in range(8) for side in "az"]
            for parent in parents:
                await running.create(parent, timeout=3600)
            for number, child in enumerate(children):
                await running.tasks.announce(ChildAnnouncement(child, parents[number // 2], ROUTE))
            await running.storage.database.execute(
                "UPDATE tasks SET deadline_at = now() WHERE id = ANY ($1)", parents[::2]
            )
            await asyncio.gather(
                *(running.tasks.finish(canceled(parent)) for parent in parents),
                *(other.tasks.report(progress(child)) for child in reversed(children)),
                *(other.tasks.finish(succeeded(child)) for child in children[::3]),
                other.storage.sweeper.sweep(),
                running.storage.sweeper.sweep_orphans(),
            )
            still_open = await running.storage.database.fetchval("SELECT count(*) FROM tasks WHERE finished_at IS NULL")
            assert still_open == 0
        assert await deadlocks(running) == 0
    finally:
        await other.storage.stop()


async def test_ends_of_hops_that_share_children_and_parents_do_not_deadlock(
    embedded: Running, database_url: str
) -> None:
    """Beside begins, finals and a lease keeper, in two processes in opposite orders."""
    other = make_storage(database_url, namespace="default")
    await other.storage.start()
    await declare(embedded, "second", "third")
    renew = "UPDATE queue_messages SET ready_at = ready_at + interval '1 s' WHERE id = ANY ($1)"
    try:
        for turn in range(6):
            # Children sort before and behind their parents, so that only the order of ids is one for all.
            roots = [f"{turn}-m{number}" for number in range(10)]
            acks = {root: (await delivered(embedded, root))[1] for root in roots}
            await asyncio.gather(*(embedded.tasks.begin(begin(root)) for root in roots))
            reports = [
                end(
                    root,
                    send(root),
                    *(send(f"{turn}-{side}{number}", "third", parent=roots[-1 - number]) for side in "az"),
                    ack=acks[root],
                )
                for number, root in enumerate(roots)
            ]
            messages = [ack.message for ack in acks.values()]
            await asyncio.gather(
                *(embedded.tasks.end(report) for report in reports),
                *(other.tasks.end(report) for report in reversed(reports)),
                *(other.tasks.begin(begin(root, "other")) for root in roots[::3]),
                *(other.tasks.report(progress(root)) for root in reversed(roots)),
                *(embedded.tasks.finish(canceled(root)) for root in roots[1::4]),
                *(other.storage.database.execute(renew, [message]) for message in messages),
            )
            for root in roots:
                seqs = await embedded.seqs(root)
                assert seqs == list(range(1, len(seqs) + 1))
        assert await deadlocks(embedded) == 0
    finally:
        await other.storage.stop()


async def test_a_row_that_stays_locked_is_busy_alone(running: Running, database_url: str) -> None:
    """`lock_timeout` 1 s, after which its rows run singly."""
    ids = [await running.create() for _ in range(12)]
    stuck = await asyncpg.connect(database_url)
    try:
        locking = stuck.transaction()
        await locking.start()
        await stuck.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", ids[5])
        async with asyncio.timeout(6):
            outcomes = await asyncio.gather(
                *(running.tasks.report(progress(task_id)) for task_id in ids), return_exceptions=True
            )
        assert [isinstance(outcome, Unavailable) for outcome in outcomes] == [task_id == ids[5] for task_id in ids]
        await locking.rollback()
        await running.tasks.report(progress(ids[5]))
        for task_id in ids:
            assert await running.seqs(task_id) == [1, 2]
    finally:
        await stuck.close()

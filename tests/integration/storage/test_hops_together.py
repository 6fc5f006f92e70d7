"""The ends of hops and the beginnings of others come together, and are written in one statement."""

import asyncio
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest

from asya_crds.envelope import Route
from asya_crds.hop_reports import BeginAction, EndOutcome, Yours
from asya_crds.status import TaskStatus
from asya_gateway.domain.hop_reports import BeginReport, EndReport, HopEnded, Send, Success
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.storage.tasks.hop_sql import Hops, statement
from asya_gateway.storage.tasks.hops import LIGHT, is_light
from tests.support.hops import OTHER, begin, claim_of, declare, delivered, end, log_of, queues, send
from tests.support.storage import Running, canceled, make_storage, succeeded
from tests.support.waiting import until

LAST = Route((), "first")
CREW = "INSERT INTO crews (name, sink, hooks, said_at) VALUES ('crew', 'x-sink', false, now())"
ENDED = HopEnded(EndOutcome.ENDED)


@pytest.fixture
async def embedded(embedded: Running) -> Running:
    """With queues for the actors of the tests, and a crew without hooks."""
    await declare(embedded, "first", "second", "third", "x-sink", "x-sump")
    await embedded.storage.database.execute(CREW)
    return embedded


async def together(running: Running, *reports: BeginReport | EndReport) -> list[Any]:
    """The answers to reports that come in one request."""
    verbs = {BeginReport: running.tasks.begin, EndReport: running.tasks.end}
    return list(await asyncio.gather(*(verbs[type(report)](report) for report in reports)))


def last(task_id: str, **changes: Any) -> EndReport:
    """The end of the last hop, with the task's success."""
    envelope = Send("x-sink", task_id, f'{{"id":"{task_id}"}}')
    return end(task_id, envelope, route=LAST, success=Success(0, '{"said":"hi"}', "first"), **changes)


async def test_an_end_and_the_next_beginning_are_one_transaction(embedded: Running) -> None:
    (ending, ack), (starting, _) = [await delivered(embedded) for _ in range(2)]
    await embedded.tasks.begin(begin(ending, route=LAST))
    ended, begun = await together(embedded, last(ending, ack=ack), begin(starting))
    assert (ended, begun.action) == (ENDED, BeginAction.GO)
    transactions = "SELECT DISTINCT xmin::text FROM tasks WHERE id = ANY ($1)"
    assert len(await embedded.storage.database.fetch(transactions, [ending, starting])) == 1


async def one_after_the_other(running: Running, tasks: Sequence[tuple[str, Any]]) -> None:
    for task_id, ack in tasks:
        await running.tasks.begin(begin(task_id, route=LAST))
        assert await running.tasks.end(last(task_id, ack=ack)) == ENDED


async def each_end_with_the_next_beginning(running: Running, tasks: Sequence[tuple[str, Any]]) -> None:
    ids = [task_id for task_id, _ in tasks]
    await running.tasks.begin(begin(ids[0], route=LAST))
    for (task_id, ack), following in zip(tasks, [*ids[1:], None], strict=True):
        reports: list[BeginReport | EndReport] = [last(task_id, ack=ack)]
        if following is not None:
            reports.append(begin(following, route=LAST))
        assert (await together(running, *reports))[0] == ENDED


async def all_at_once(running: Running, tasks: Sequence[tuple[str, Any]]) -> None:
    half = len(tasks) // 2
    starts = [begin(task_id, route=LAST) for task_id, _ in tasks]
    ends = [last(task_id, ack=ack) for task_id, ack in tasks]
    await together(running, *starts[:half])
    await together(running, *ends[:half], *starts[half:])
    await together(running, *ends[half:])


@pytest.mark.parametrize("way", [one_after_the_other, each_end_with_the_next_beginning, all_at_once])
async def test_what_is_stored_does_not_depend_on_what_comes_together(embedded: Running, way: Any) -> None:
    tasks = [await delivered(embedded) for _ in range(4)]
    await way(embedded, tasks)
    for task_id, _ in tasks:
        assert [entry[1:4] for entry in await log_of(embedded, task_id)] == [
            ("created", "pending", 0),
            ("progress", "running", 10),
            ("progress", "running", 50),
            ("progress", "running", 100),
            ("final", "succeeded", 100),
        ]
        assert await embedded.seqs(task_id) == [1, 2, 3, 4, 5]
        assert await claim_of(embedded, task_id) == ("me", 1, "completed")
        row = await embedded.storage.database.fetchrow(
            "SELECT status, ended_as, progress, message, actor, route::text, hop, finished_at IS NOT NULL AS ended,"
            " cardinality(recent_reports) AS keys, (SELECT body::text FROM task_bodies b WHERE b.task_id = t.id"
            " AND kind = 'result') AS result FROM tasks t WHERE id = $1",
            task_id,
        )
        assert tuple(row or ()) == (
            *("succeeded", "succeeded", 100, "Task completed successfully", "first"),
            *(LAST.to_json(), 0, True, 2, '{"said":"hi"}'),
        )
    assert await queues(embedded) == []


async def test_each_is_answered_by_itself(embedded: Running) -> None:
    held = [await delivered(embedded) for _ in range(4)]
    fresh = [(await delivered(embedded))[0] for _ in range(4)]
    for number, (task_id, _) in enumerate(held):
        await embedded.tasks.begin(begin(task_id, OTHER if number == 1 else "me"))
    await embedded.tasks.finish(canceled(fresh[1]))
    await embedded.tasks.begin(begin(fresh[2], OTHER))
    ends = [
        end(task_id, send(task_id, "nowhere" if number == 2 else "second"), ack=ack)
        for number, (task_id, ack) in enumerate(held)
    ]
    ends[3] = ends[3]._replace(ack=None)
    starts = [begin(task_id) for task_id in (*fresh, "nobody")]
    answers = await together(embedded, *(each for pair in zip(ends, starts, strict=False) for each in pair), starts[4])
    assert answers[0:8:2] == [
        ENDED,
        HopEnded(EndOutcome.REFUSED),
        HopEnded(EndOutcome.YOURS, Yours.UNDECLARED),
        HopEnded(EndOutcome.YOURS, Yours.RECEIPT),
    ]
    assert [each.action for each in answers[1:8:2]] == ["go", "drop", "busy", "go"]
    assert (answers[8].known, answers[8].action) == (False, BeginAction.GO)
    for task_id in (*fresh, *(task_id for task_id, _ in held)):
        seqs = await embedded.seqs(task_id)
        assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("why", ["refused", "undeclared", "receipt", "unknown"])
async def test_an_end_that_changes_nothing_stops_no_beginning_beside_it(embedded: Running, why: str) -> None:
    (task_id, ack), (starting, _) = [await delivered(embedded) for _ in range(2)]
    if why != "refused":
        await embedded.tasks.begin(begin(task_id))
    report = end(
        "nobody" if why == "unknown" else task_id,
        send(task_id, "nowhere" if why == "undeclared" else "second"),
        ack=None if why == "receipt" else ack,
    )
    before = await log_of(embedded, task_id), await queues(embedded)
    ended, begun = await together(embedded, report, begin(starting))
    expected = HopEnded(EndOutcome.REFUSED) if why == "refused" else HopEnded(EndOutcome.YOURS, Yours(why))
    assert (ended, begun.action) == (expected, BeginAction.GO)
    assert (await log_of(embedded, task_id), await queues(embedded)) == before
    assert await embedded.seqs(starting) == [1, 2, 3]


@pytest.mark.parametrize("why", ["busy", "drop", "done"])
async def test_a_beginning_that_does_not_go_stops_no_end_beside_it(embedded: Running, why: str) -> None:
    (ending, ack), (starting, other_ack) = [await delivered(embedded) for _ in range(2)]
    await embedded.tasks.begin(begin(ending))
    match why:
        case "busy":
            await embedded.tasks.begin(begin(starting, OTHER))
        case "drop":
            await embedded.tasks.finish(succeeded(starting))
        case _:
            await embedded.tasks.begin(begin(starting))
            await embedded.tasks.end(end(starting, ack=other_ack))
    before = await log_of(embedded, starting)
    ended, begun = await together(embedded, end(ending, ack=ack), begin(starting))
    assert (ended, begun.action) == (ENDED, BeginAction(why))
    assert await log_of(embedded, starting) == before
    assert await embedded.seqs(ending) == [1, 2, 3, 4]


async def test_the_same_end_again_beside_a_beginning_is_answered_as_the_first(embedded: Running) -> None:
    (ending, ack), (first, _), (second, _) = [await delivered(embedded) for _ in range(3)]
    await embedded.tasks.begin(begin(ending))
    report = end(ending, ack=ack)
    for starting in (first, second):
        ended, begun = await together(embedded, report, begin(starting))
        assert (ended, begun.action) == (ENDED, BeginAction.GO)
    assert await embedded.seqs(ending) == [1, 2, 3, 4]
    assert [each for each in await queues(embedded) if each[0] == "second"] == [("second", ending)]


async def test_with_an_outbox_the_envelopes_of_an_end_beside_a_beginning_are_handed_over(running: Running) -> None:
    ending, starting = await running.create(), await running.create()
    await running.tasks.begin(begin(ending))
    running.handed.clear()
    ended, begun = await together(running, end(ending, send(ending, "third")), begin(starting))
    assert (ended, begun.action) == (ENDED, BeginAction.GO)
    assert [(entry.task_id, entry.actor) for entry in running.handed] == [(ending, "third")]
    assert await running.storage.database.fetchval("SELECT count(*) FROM outbox WHERE id = $1", running.handed[0].id)


async def test_the_end_of_a_tasks_hop_and_the_beginning_of_its_next_one_keep_their_order(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    following = begin(task_id, route=Route(("first",), "second", ("third",)))
    ended, begun = await together(embedded, end(task_id, ack=ack), following)
    assert (ended, begun.action) == (ENDED, BeginAction.GO)
    messages = [entry[4] for entry in await log_of(embedded, task_id)]
    assert ["completed" in text for text in messages] == [False, False, False, True, False, False]
    task = await embedded.tasks.get(task_id, owner=EVERY_OWNER)
    assert (task.status, task.actor) == (TaskStatus.RUNNING, "second")


def test_only_an_end_of_few_bytes_shares_the_batches_of_beginnings() -> None:
    assert is_light(end("t"))
    assert not is_light(end("t", Send("second", "t", "x" * LIGHT)))
    assert not is_light(end("t", send("c", parent="t")))
    assert not is_light(end("t", parts=1))


async def test_a_beginning_does_not_wait_for_the_locks_of_large_ends(embedded: Running) -> None:
    """The connections of large ends wait, while beginnings go on."""
    held = [await delivered(embedded) for _ in range(2)]
    starting, _ = await delivered(embedded)
    ends = []
    for task_id, ack in held:
        await embedded.tasks.begin(begin(task_id))
        ends.append(end(task_id, Send("second", task_id, '"' + "x" * LIGHT + '"'), ack=ack))
    async with embedded.storage.database.connection() as connection, connection.transaction():
        for task_id, _ in held:
            await connection.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", task_id)
        waiting = asyncio.gather(*(embedded.tasks.end(report) for report in ends))
        await until(lambda: locked(embedded), what="ends that wait for their tasks")
        assert (await embedded.tasks.begin(begin(starting))).action is BeginAction.GO
        assert not waiting.done()
    assert await waiting == [ENDED, ENDED]


async def locked(running: Running) -> bool:
    found = await running.storage.database.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(found)


async def test_two_gateways_with_ends_and_beginnings_of_the_same_tasks_do_not_deadlock(
    embedded: Running, database_url: str
) -> None:
    """Each takes the ends of one half and the beginnings of the other, in opposite orders."""
    other = make_storage(database_url, namespace="default")
    await other.storage.start()
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    try:
        for turn in range(8):
            tasks = [await delivered(embedded, f"{turn}-{number:02}") for number in range(16)]
            await together(embedded, *(begin(task_id) for task_id, _ in tasks))
            ends = [end(task_id, ack=ack) for task_id, ack in tasks]
            starts = [begin(task_id, OTHER) for task_id, _ in tasks]
            await asyncio.gather(
                together(embedded, *ends[::2], *reversed(starts[1::2])),
                together(other, *reversed(starts[::2]), *ends[1::2]),
            )
            for task_id, _ in tasks:
                assert await embedded.seqs(task_id) == [1, 2, 3, 4]
        assert await embedded.storage.database.fetchval(deadlocks) == 0
    finally:
        await other.storage.stop()


async def test_the_server_plans_the_statement_of_every_kind_of_batch(running: Running) -> None:
    flags = list(product((False, True), repeat=5))
    kinds = [
        Hops(prefix, begins, ends, parts, children, one)
        for prefix in (None, "asya-default-")
        for begins, ends, parts, children, one in flags
        if (ends or (begins and not parts and not children)) and parts <= children and not (one and children)
    ]
    assert len(kinds) == 20
    async with running.storage.database.hot.connection() as connection:
        for hops in kinds:
            await connection.prepare(statement(hops))

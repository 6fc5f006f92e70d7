"""The connection is lost between COMMIT and its answer: callers get correct answers, and nothing happens twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from asya_crds.answers import AnswerAction, InputMethod
from asya_crds.hop_reports import BeginAction, EndOutcome
from asya_crds.status import ClaimAction, HopState, TaskStatus
from asya_gateway.domain.answers import Kept, Resumption
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.hop_reports import HopEnded
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.pause import Input, Pause
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.domain.reports import ChildAnnouncement, Claim, PauseReport
from asya_gateway.domain.sessions.ports import OpenCall
from asya_gateway.domain.sessions.session import NewSession, SessionTransport
from asya_gateway.domain.task import FlyEvent
from servers.proxy import TcpProxy
from tests.support.hops import begin, declare, delivered, end, queues, send
from tests.support.storage import ROUTE, Running, answer_to, failed, make_storage, new_task, progress, succeeded
from tests.support.waiting import lasts, until


@pytest.fixture
async def through(database_url: str) -> AsyncIterator[tuple[TcpProxy, str]]:
    """A proxy before the database, and the URL that leads through it."""
    made, url = await TcpProxy.before(database_url)
    yield made, url
    await made.close()


@pytest.fixture
def proxy(through: tuple[TcpProxy, str]) -> TcpProxy:
    return through[0]


@pytest.fixture
async def behind(through: tuple[TcpProxy, str]) -> AsyncIterator[Running]:
    """A Storage whose connections go through the proxy."""
    made = make_storage(through[1])
    await made.storage.start()
    yield made
    through[0].flow()
    through[0].accept()
    await made.storage.stop()


async def test_a_create_is_accepted_and_stored_once(behind: Running, running: Running, proxy: TcpProxy) -> None:
    new = new_task()
    proxy.lose_answer_to(new.id.encode())
    await behind.tasks.create(new)
    assert proxy.lost == 1
    assert await running.seqs(new.id) == [1]
    assert await running.storage.database.fetchval("SELECT count(*) FROM outbox") == 1


async def test_a_create_whose_answer_was_lost_is_left_to_the_outbox_poll(
    behind: Running, running: Running, proxy: TcpProxy
) -> None:
    new = new_task()
    proxy.lose_answer_to(new.id.encode())
    await behind.tasks.create(new)
    assert behind.handed == []
    assert await running.storage.database.fetchval("SELECT task_id FROM outbox") == new.id


async def test_a_report_counts_once(behind: Running, running: Running, proxy: TcpProxy) -> None:
    task_id = await running.create()
    proxy.lose_answer_to(task_id.encode())
    answer = await behind.tasks.report(progress(task_id))
    assert (proxy.lost, answer.status) == (1, TaskStatus.RUNNING)
    assert await running.seqs(task_id) == [1, 2]


async def test_a_claim_still_goes(behind: Running, running: Running, proxy: TcpProxy) -> None:
    task_id = await running.create()
    proxy.lose_answer_to(task_id.encode())
    answer = await behind.tasks.report(progress(task_id, claim=Claim("0", 1, "me")))
    assert (proxy.lost, answer.action) == (1, ClaimAction.GO)
    assert await running.seqs(task_id) == [1, 2]


async def test_a_final_ends_the_task_once(behind: Running, running: Running, proxy: TcpProxy) -> None:
    task_id = await running.create()
    proxy.lose_answer_to(task_id.encode())
    await behind.tasks.finish(succeeded(task_id))
    assert proxy.lost == 1
    assert await running.kinds(task_id) == ["created", "final"]


async def test_a_call_that_was_canceled_before_it_came_is_not_begun(
    behind: Running, running: Running, proxy: TcpProxy
) -> None:
    calls, session = behind.storage.sessions.calls, b"s" * 32
    await running.storage.sessions.sessions.create(NewSession(session, SessionTransport.HTTP, "", ""))
    call = OpenCall(session, b"r" * 16, "a-task", {"id": 1, "name": "x"})
    await running.storage.sessions.calls.cancel(session, call.request)
    proxy.lose_answer_to(b"a-task")
    assert not await calls.register(call)
    assert proxy.lost == 1


async def test_a_begin_still_goes_and_its_entries_count_once(
    behind: Running, running: Running, proxy: TcpProxy
) -> None:
    task_id = await running.create()
    proxy.lose_answer_to(task_id.encode())
    assert (await behind.tasks.begin(begin(task_id))).action is BeginAction.GO
    assert (proxy.lost, await running.seqs(task_id)) == (1, [1, 2, 3])


@pytest.mark.parametrize("namespace", [None, "default"])
async def test_an_end_is_ended_and_its_envelopes_are_sent_once(
    through: tuple[TcpProxy, str], embedded: Running, namespace: str | None
) -> None:
    proxy, url = through
    behind = make_storage(url, namespace=namespace)
    await behind.storage.start()
    try:
        await declare(embedded, "second", "third")
        task_id, ack = await delivered(embedded)
        await embedded.tasks.begin(begin(task_id))
        report = end(task_id, send(task_id), send("a-child", "third", parent=task_id), ack=ack)
        proxy.lose_answer_to(b"a-child")
        assert await behind.tasks.end(report) == HopEnded(EndOutcome.ENDED)
        assert (proxy.lost, await embedded.seqs(task_id)) == (1, [1, 2, 3, 4])
        assert await embedded.seqs("a-child") == [1]
        if namespace is None:
            found = await embedded.storage.database.fetch("SELECT actor, task_id FROM outbox ORDER BY id")
            assert [tuple(row.values()) for row in found] == [("second", task_id), ("third", "a-child")]
            # They are left to the outbox poll.
            assert behind.handed == []
        else:
            assert await queues(embedded) == [("second", task_id), ("third", "a-child")]
            assert {entry.actor for entry in behind.handed} == {"second", "third"}
    finally:
        await behind.storage.stop()


async def test_an_answer_is_taken_once_and_said_to_be(behind: Running, running: Running, proxy: TcpProxy) -> None:
    task_id = await running.create()
    pause = Pause("p1", "Go on?", {"type": "object"}, [])
    await running.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 10.0))
    proxy.lose_answer_to(b"resume-envelope")
    assert await behind.tasks.answer(answer_to(task_id), Resumption("x-resume", '"resume-envelope"'))
    assert proxy.lost == 1
    assert await running.kinds(task_id) == ["created", "paused", "resumed"]
    assert await running.storage.database.fetchval("SELECT count(*) FROM outbox WHERE actor = 'x-resume'") == 1


def two_inputs(task_id: str) -> PauseReport:
    inputs = tuple(Input(key, InputMethod.ROOTS, {}) for key in ("lost-input", "other"))
    return PauseReport(task_id, Pause("p1", "?", {"type": "object"}, [], inputs=inputs), TaskStatus.PAUSED, ROUTE, 10.0)


async def test_an_answer_to_one_of_several_inputs_is_taken_once(
    behind: Running, running: Running, proxy: TcpProxy
) -> None:
    task_id = await running.create()
    await running.tasks.pause(two_inputs(task_id))
    proxy.lose_answer_to(b"COMMIT")
    kept = await behind.tasks.keep_answer(answer_to(task_id, input_key="lost-input"))
    assert (kept, proxy.lost) == (Kept.KEPT, 1)
    assert await running.tasks.keep_answer(answer_to(task_id, 2, input_key="lost-input")) is Kept.TOO_LATE
    assert await running.tasks.keep_answer(answer_to(task_id, 2, input_key="other")) is Kept.LAST
    assert await running.kinds(task_id) == ["created", "paused", "answered"]


async def test_a_decline_that_fails_the_task_is_taken_once(behind: Running, running: Running, proxy: TcpProxy) -> None:
    task_id = await running.create()
    await running.tasks.pause(two_inputs(task_id))
    proxy.lose_answer_to(b"COMMIT")
    declined = answer_to(task_id, input_key="lost-input", action=AnswerAction.DECLINE, value=None)
    assert await behind.tasks.fail_declined(declined, failed(task_id))
    assert proxy.lost == 1
    assert not await running.tasks.fail_declined(replace(declined, key=2), failed(task_id))
    assert await running.kinds(task_id) == ["created", "paused", "final"]


async def test_a_database_that_is_away_is_unavailable_and_back_when_it_is_back(
    behind: Running, running: Running, proxy: TcpProxy
) -> None:
    proxy.refuse()
    new = new_task()
    with pytest.raises(Unavailable):
        await behind.tasks.create(new)
    with pytest.raises(Unavailable):
        await behind.tasks.get(new.id, owner=EVERY_OWNER)
    with pytest.raises(Unavailable):
        await behind.storage.fly.send([FlyEvent(new.id, "partial", "1")])
    proxy.accept()
    again = new_task()
    await behind.tasks.create(again)
    assert await running.tasks.get(again.id, owner=EVERY_OWNER) is not None
    await until(lambda: behind.storage.bell.connected, what="the bell")


async def test_a_report_during_a_frozen_connection_is_written_once_when_it_thaws(
    behind: Running, running: Running, proxy: TcpProxy
) -> None:
    task_id = await running.create()
    proxy.stall()
    report = asyncio.create_task(behind.tasks.report(progress(task_id, HopState.PROCESSING)))
    await lasts(0.2)
    proxy.flow()
    await report
    assert await running.seqs(task_id) == [1, 2]


async def test_a_wait_for_a_frozen_database_is_bounded_by_the_longest_statement(
    through: tuple[TcpProxy, str], running: Running
) -> None:
    """This includes the time in which the driver closes the connection, which takes five seconds more."""
    proxy, url = through
    behind = make_storage(url, patience=0.5, statement_timeout=1)
    await behind.storage.start()
    task_id = await running.create()
    tasks, fly = behind.tasks, behind.storage.fly
    try:
        await tasks.get(task_id, owner=EVERY_OWNER)
        proxy.stall()
        async with asyncio.timeout(6):
            outcomes = await asyncio.gather(
                tasks.get(task_id, owner=EVERY_OWNER),
                tasks.page(TaskFilter(owner=OwnedBy(""))),
                tasks.snapshot(task_id, 0, owner=EVERY_OWNER),
                tasks.create(new_task()),
                tasks.report(progress(task_id)),
                tasks.finish(succeeded(task_id)),
                tasks.announce(ChildAnnouncement("child", task_id, ROUTE)),
                fly.send([FlyEvent(task_id, "partial", "1")]),
                return_exceptions=True,
            )
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 8
        late = asyncio.create_task(fly.send([FlyEvent(task_id, "partial", "2")]))
        with pytest.raises(Unavailable):
            async with asyncio.timeout(6):
                await late
    finally:
        proxy.flow()
        await behind.storage.stop()

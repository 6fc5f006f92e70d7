"""Calls with keys and caps: one task for a key, whatever happens at the same time or is lost on the way."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import asyncpg
import pytest
from typing_extensions import override

from asya_crds.status import TaskStatus
from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.destinations import Destination
from asya_gateway.domain.errors import KeyReused, TooManyTasks, Unavailable
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.ports import NewTask, Terms
from asya_gateway.domain.reports import ChildAnnouncement, FinalOutcome, PauseReport
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.channels.destinations import PostgresDestinations
from asya_gateway.storage.database import SESSION
from asya_gateway.storage.tasks.admitting import Admitted, Admitter, Applicant, OverCap, over_cap
from asya_gateway.storage.tasks.creating import into_outbox, into_queue
from servers.proxy import TcpProxy
from tests.support.blocks import counted_blocks
from tests.support.storage import ONWARD, ROUTE, Running, answer_to, canceled, make_storage, new_task, succeeded
from tests.support.waiting import until

KEY = RequestKey("cancel", "k", b"same")


TAKE = "INSERT INTO call_keys (owner, key, task_id, digest) VALUES ('', $1, 'of-nobody', '')"
BLOCKED = """
SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def keyed(key: str, digest: bytes = b"same") -> Terms:
    return Terms(key, digest)


async def count(running: Running, table: str) -> int:
    return int(await running.storage.database.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.fixture
async def proxy_and_running(database_url: str) -> AsyncIterator[tuple[TcpProxy, Running]]:
    proxy, url = await TcpProxy.before(database_url)
    made = make_storage(url, patience=1.0)
    await made.storage.start()
    yield proxy, made
    proxy.flow()
    proxy.accept()
    await made.storage.stop()
    await proxy.close()


class TestKeys:
    async def test_a_key_names_one_task_of_its_owner(self, running: Running) -> None:
        first, again, other = new_task(), new_task(), new_task(owner="alice")
        assert (await running.tasks.admit(first, keyed("k"))).task_id == first.id
        assert (await running.tasks.admit(again, keyed("k"))).task_id == first.id
        assert (await running.tasks.admit(other, keyed("k", b"other"))).task_id == other.id
        assert await count(running, "tasks") == await count(running, "outbox") == 2
        assert [entry.task_id for entry in running.handed] == [first.id, other.id]

    async def test_another_request_under_a_known_key_is_refused_and_stores_nothing(self, running: Running) -> None:
        await running.tasks.admit(new_task(), keyed("k"))
        with pytest.raises(KeyReused):
            await running.tasks.admit(new_task(), keyed("k", b"other"))
        assert await count(running, "tasks") == 1

    async def test_a_keyed_task_is_as_whole_as_a_plain_one(self, running: Running) -> None:
        plain, keyed_id = await running.create(), (await running.tasks.admit(new_task(), keyed("k"))).task_id
        found = [await running.tasks.get(task_id, owner=EVERY_OWNER) for task_id in (plain, keyed_id)]
        assert found[0].payload == found[1].payload
        assert await running.kinds(plain) == await running.kinds(keyed_id)

    async def test_the_embedded_queue_gets_one_message(self, running: Running) -> None:
        rung: list[str] = []
        admitter = Admitter(lambda: running.storage.database.pool, into_queue("default", rung.extend))
        first = new_task(envelope='{"id":"one"}')
        for new in (first, new_task()):
            [verdict] = await admitter.flush([Applicant(new, keyed("k"))])
            assert isinstance(verdict, Admitted)
            assert (verdict.task_id, verdict.digest) == (first.id, b"same")
            assert (verdict.created_at is not None) is (new is first)
        assert await running.storage.database.fetchval("SELECT count(*) FROM queue_messages") == 1
        assert set(rung) == {first.actor}

    async def test_hundreds_of_batches_with_the_same_keys_never_wait_for_one_another_in_a_circle(
        self, running: Running
    ) -> None:
        chance = random.Random(1)
        admitter = Admitter(lambda: running.storage.database.pool, into_outbox(running.handed.extend))

        async def batch(keys: list[str]) -> list[tuple[str, str]]:
            some = chance.sample(keys, len(keys))
            verdicts = await admitter.flush([Applicant(new_task(), keyed(key)) for key in some])
            return [
                (key, verdict[0]) for key, verdict in zip(some, verdicts, strict=True) if isinstance(verdict, Admitted)
            ]

        # New keys in each round: only who finds a key that is being taken waits for anybody.
        for turn in range(40):
            keys = [f"{turn}-{number}" for number in range(30)]
            found = await asyncio.gather(*(batch(keys) for _ in range(6)))
            tasks = {key: task_id for pairs in found for key, task_id in pairs}
            assert {pair for pairs in found for pair in pairs} == set(tasks.items())
        assert await count(running, "tasks") == await count(running, "outbox") == 40 * 30

    async def test_keys_are_taken_in_their_own_order_whatever_order_their_calls_came_in(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another transaction holds the key in the middle. The batch waits for it with the key before, and without the
        one after."""
        monkeypatch.setitem(SESSION, "lock_timeout", "60000")
        patient = make_storage(database_url)
        await patient.storage.database.open()
        admitter = Admitter(lambda: patient.storage.database.pool, into_outbox(patient.handed.extend))
        holder, another = [await asyncpg.connect(database_url) for _ in range(2)]
        try:
            async with holder.transaction():
                await holder.execute(TAKE, "m")
                batch = [Applicant(new_task(f"task-{n}"), keyed(key)) for n, key in enumerate(("z", "m", "a"))]
                flushing = asyncio.create_task(admitter.flush(batch))
                await until(partial(another.fetchval, BLOCKED), what="the batch to wait for the key")
                await another.execute("SET lock_timeout = '100ms'")
                with pytest.raises(asyncpg.LockNotAvailableError):
                    await another.execute(TAKE, "a")
                await another.execute(TAKE, "z")
                await holder.execute("DELETE FROM call_keys WHERE key = 'm'")
            assert [verdict[0] for verdict in await flushing] == ["task-0", "task-1", "task-2"]
        finally:
            await asyncio.gather(holder.close(), another.close(), patient.storage.database.close())

    async def test_a_known_key_makes_no_other_call_of_the_batch_run_again(self, running: Running) -> None:
        inserts: list[int] = []

        class Counting(Admitter):
            @override
            async def _insert(self, connection: Any, batch: Sequence[Applicant]) -> Any:
                inserts.append(len(batch))
                return await super()._insert(connection, batch)

        known = new_task()
        admitter = Counting(lambda: running.storage.database.pool, into_outbox(running.handed.extend))
        await admitter.flush([Applicant(known, keyed("k"))])
        batch = [Applicant(new_task(), keyed(key)) for key in ("a", "k", "z")]
        verdicts = await admitter.flush(batch)
        assert [verdict[0] for verdict in verdicts] == [batch[0].new.id, known.id, batch[2].new.id]
        assert inserts == [1, 3]

    async def test_a_keyed_call_whose_answer_was_lost_is_stored_once(
        self, proxy_and_running: tuple[TcpProxy, Running], running: Running
    ) -> None:
        proxy, behind = proxy_and_running
        new = new_task()
        proxy.lose_answer_to(new.id.encode())
        assert (await behind.tasks.admit(new, keyed("k"))).task_id == new.id
        assert (proxy.lost, await count(running, "outbox")) == (1, 1)

    async def test_a_key_goes_with_its_task(self, running: Running) -> None:
        for key in ("old", "new"):
            await running.tasks.admit(new_task(key), keyed(key))
        await running.tasks.finish(succeeded("old"))
        await running.storage.database.execute(
            "UPDATE tasks SET finished_at = now() - interval '1 year' WHERE id = 'old'"
        )
        await running.storage.retention.retire()
        again = new_task()
        assert (await running.tasks.admit(again, keyed("old"))).task_id == again.id
        assert (await running.tasks.admit(new_task(), keyed("new"))).task_id == "new"

    async def test_a_key_whose_task_an_older_version_removed_is_free_and_swept(self, running: Running) -> None:
        for key in ("a", "b"):
            await running.tasks.admit(new_task(), keyed(key))
        await running.storage.database.execute("DELETE FROM tasks")
        again = new_task()
        assert await running.tasks.find_call("", "a", b"same") is None
        assert (await running.tasks.admit(again, keyed("a"))).task_id == again.id
        await running.storage.retention.retire()
        assert await running.storage.database.fetchval("SELECT array_agg(key) FROM call_keys") == ["a"]


class TestWhatIsDoneToATask:
    async def test_a_repeated_cancel_is_told_what_the_first_was(self, running: Running) -> None:
        task_id = await running.create()
        assert await running.tasks.cancel(canceled(task_id), KEY) is FinalOutcome.APPLIED
        assert await running.tasks.cancel(canceled(task_id), KEY) is FinalOutcome.APPLIED
        other = RequestKey("cancel", "other", b"same")
        assert await running.tasks.cancel(canceled(task_id), other) is FinalOutcome.ENDED_BEFORE
        with pytest.raises(KeyReused):
            await running.tasks.cancel(canceled(task_id), RequestKey("cancel", "k", b"different"))
        assert await running.kinds(task_id) == ["created", "final"]
        assert await running.storage.database.fetchval("SELECT array_agg(key) FROM task_request_keys") == ["k"]

    async def test_two_cancels_of_one_key_at_once_are_both_told_so(self, running: Running) -> None:
        task_id = await running.create()
        outcomes = await asyncio.gather(*(running.tasks.cancel(canceled(task_id), KEY) for _ in range(6)))
        assert set(outcomes) == {FinalOutcome.APPLIED}
        assert await running.kinds(task_id) == ["created", "final"]

    async def test_a_key_says_nothing_of_a_foreign_task(self, running: Running) -> None:
        task_id = await running.create(owner="alice")
        await running.tasks.cancel(canceled(task_id, owner=OwnedBy("alice")), KEY)
        for digest in (b"same", b"guessed"):
            key = RequestKey("cancel", "k", digest)
            assert await running.tasks.cancel(canceled(task_id, owner=OwnedBy("bob")), key) is FinalOutcome.UNKNOWN
            assert not await running.tasks.find_request(task_id, OwnedBy("bob"), key)

    async def test_a_cancel_whose_answer_was_lost_is_told_to_have_been_done(
        self, proxy_and_running: tuple[TcpProxy, Running], running: Running
    ) -> None:
        proxy, behind = proxy_and_running
        task_id = await running.create()
        proxy.lose_answer_to(b"COMMIT")
        assert await behind.tasks.cancel(canceled(task_id), KEY) is FinalOutcome.APPLIED
        assert proxy.lost == 1
        assert await running.kinds(task_id) == ["created", "final"]

    async def test_an_answer_is_known_by_its_key(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(
            PauseReport(task_id, Pause("p1", "?", {"type": "object"}, []), TaskStatus.PAUSED, ROUTE, 1.0)
        )
        key = RequestKey("answer", "k", b"same")
        assert not await running.tasks.find_request(task_id, OwnedBy(""), key)
        assert await running.tasks.answer(answer_to(task_id, request=key), ONWARD)
        assert await running.tasks.find_request(task_id, OwnedBy(""), key)
        assert not await running.tasks.find_request(task_id, OwnedBy(""), RequestKey("cancel", "k", b"same"))


class TestOutcome:
    async def test_a_write_that_was_never_sent_was_not_done(self, proxy_and_running: tuple[TcpProxy, Running]) -> None:
        proxy, behind = proxy_and_running
        proxy.refuse()
        proxy.cut()
        with pytest.raises(Unavailable) as raised:
            await behind.tasks.create(new_task())
        assert raised.value.outcome == "not_done"

    async def test_a_write_whose_answer_never_came_may_have_been_done(
        self, proxy_and_running: tuple[TcpProxy, Running], running: Running
    ) -> None:
        proxy, behind = proxy_and_running
        new = new_task()

        proxy.lose_answer_to(new.id.encode(), then_refuse=True)
        waiting = asyncio.create_task(behind.tasks.create(new))
        await until(lambda: proxy.lost, what="the lost answer")
        with pytest.raises(Unavailable) as raised:
            await waiting
        assert raised.value.outcome == "unknown"
        assert "not known" in raised.value.message
        assert await running.seqs(new.id) == [1]

    async def test_a_call_repeated_after_an_unknown_outcome_is_the_task_that_was_stored(
        self, proxy_and_running: tuple[TcpProxy, Running], running: Running
    ) -> None:
        proxy, behind = proxy_and_running
        new = new_task(payload='"only the insert has this"')
        proxy.lose_answer_to(b"only the insert has this", then_refuse=True)
        waiting = asyncio.create_task(behind.tasks.admit(new, keyed("k")))
        await until(lambda: proxy.lost, what="the lost answer")
        with pytest.raises(Unavailable) as raised:
            await waiting
        assert raised.value.outcome == "unknown"
        assert (await running.tasks.admit(new_task(), keyed("k"))).task_id == new.id
        assert await count(running, "tasks") == 1


class TestCaps:
    async def test_as_many_tasks_are_open_as_the_cap_allows(self, running: Running) -> None:
        terms = Terms(owner_cap=2)
        ids = [(await running.tasks.admit(new_task(), terms)).task_id for _ in range(2)]
        with pytest.raises(TooManyTasks, match="fewer than 2 open tasks of this caller"):
            await running.tasks.admit(new_task(), terms)
        await running.tasks.admit(new_task(owner="alice"), terms)
        await running.tasks.finish(succeeded(ids[0]))
        await running.tasks.admit(new_task(), terms)

    async def test_a_cap_of_a_flow_counts_all_owners_and_no_children(self, running: Running) -> None:
        parent = await running.create(owner="alice")
        await running.tasks.announce(ChildAnnouncement("child", parent, ROUTE, ends_itself=True))
        await running.tasks.admit(new_task(), Terms(flow_cap=2))
        with pytest.raises(TooManyTasks, match="fewer than 2 open tasks of the flow shout"):
            await running.tasks.admit(new_task(), Terms(flow_cap=2))
        await running.tasks.admit(new_task(flow="other"), Terms(flow_cap=2))

    async def test_a_repetition_is_answered_whatever_the_cap(self, running: Running) -> None:
        first = new_task()
        for new in (first, new_task()):
            assert (await running.tasks.admit(new, Terms("k", b"same", owner_cap=1))).task_id == first.id

    async def test_one_call_over_its_cap_refuses_no_other(self, running: Running) -> None:
        outcomes = await asyncio.gather(
            *(running.tasks.admit(new_task(), Terms(flow_cap=cap)) for cap in (0, 9, 0, 9)), return_exceptions=True
        )
        assert [isinstance(outcome, TooManyTasks) for outcome in outcomes] == [True, False, True, False]

    async def test_credentials_of_one_owner_may_have_different_caps(self, running: Running) -> None:
        for _ in range(3):
            await running.create(owner="ann")
        outcomes = await asyncio.gather(
            *(running.tasks.admit(new_task(owner="ann"), Terms(owner_cap=cap)) for cap in (3, 2, 4, 2)),
            return_exceptions=True,
        )
        assert [isinstance(outcome, TooManyTasks) for outcome in outcomes] == [True, True, False, True]
        outcomes = await asyncio.gather(
            *(running.tasks.admit(new_task(owner="ann"), Terms(owner_cap=cap)) for cap in (4, 1)),
            return_exceptions=True,
        )
        assert all(isinstance(outcome, TooManyTasks) for outcome in outcomes)

    async def test_a_capped_call_whose_answer_was_lost_is_no_call_too_many(
        self, proxy_and_running: tuple[TcpProxy, Running], running: Running
    ) -> None:
        proxy, behind = proxy_and_running
        new = new_task(payload='"only the insert has this"')
        proxy.lose_answer_to(b"only the insert has this")
        assert (await behind.tasks.admit(new, Terms(owner_cap=1))).task_id == new.id
        assert proxy.lost == 1


def aimed(owner: str = "", **more: Any) -> NewTask:
    """A new task whose changes are delivered."""
    new = new_task(owner=owner, **more)
    subjects = frozenset({"key:k", "grant:g"})
    aim = Destination(new.id, "a2a", "x", owner, "https://e.example/", "e.example:443", {"a": 1}, "sealed", subjects)
    return new._replace(destination=aim)


async def destinations(running: Running) -> list[tuple[str, int]]:
    rows = await running.storage.database.fetch("SELECT task_id, delivered_seq FROM destinations ORDER BY task_id")
    return [tuple(row) for row in rows]


class TestDestinations:
    async def test_where_changes_are_delivered_is_stored_with_its_task_as_it_was_said(self, running: Running) -> None:
        new = aimed()
        accepted = await running.tasks.admit(new, Terms())
        assert (accepted.task_id, accepted.created_at is not None) == (new.id, True)
        stored = PostgresDestinations(running.storage.database, DestinationAnnouncements(running.storage.bell))
        assert await stored.find(new.id, "a2a", "", "x") == new.destination
        assert await destinations(running) == [(new.id, 0)]

    async def test_a_refused_or_repeated_call_stores_none(self, running: Running) -> None:
        first, again, other, beyond = aimed(), aimed(), aimed(), aimed()
        await running.tasks.admit(first, keyed("k"))
        assert await running.tasks.admit(again, keyed("k")) == (first.id, None)
        with pytest.raises(KeyReused):
            await running.tasks.admit(other, keyed("k", b"other"))
        with pytest.raises(TooManyTasks):
            await running.tasks.admit(beyond, Terms(owner_cap=1))
        assert await destinations(running) == [(first.id, 0)]

    async def test_calls_at_once_under_one_key_store_one(self, running: Running) -> None:
        accepted = await asyncio.gather(*(running.tasks.admit(aimed(), keyed("k")) for _ in range(5)))
        assert {each.task_id for each in accepted} == {task_id for task_id, _ in await destinations(running)}
        assert len(await destinations(running)) == 1

    async def test_an_owner_has_a_thousand_that_wait_however_many_come_at_once(self, running: Running) -> None:
        await running.storage.database.execute(
            "INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq, done)"
            " SELECT 't' || n, 'a2a', 'x', 'ann', '', '', '{}', 0, n > 998 FROM generate_series(1, 1100) n"
        )
        outcomes = await asyncio.gather(
            *(running.tasks.admit(aimed("ann"), Terms()) for _ in range(4)), return_exceptions=True
        )
        assert [isinstance(each, TooManyTasks) for each in outcomes] == [False, False, True, True]
        assert "fewer than 1000" in str(outcomes[-1])
        await running.tasks.admit(new_task(owner="ann"), Terms())
        await running.tasks.admit(aimed("bob"), Terms())


MANY = """
INSERT INTO tasks (id, owner, flow, surface, status, route, created_at, updated_at, finished_at, ended_as)
SELECT 'old-' || n, 'busy', 'shout', 'rest', 'succeeded', '{}', now() - n * interval '1 second', now(), now(),
       'succeeded' FROM generate_series(1, 100000) n;
INSERT INTO tasks (id, owner, flow, surface, status, route, created_at, updated_at)
SELECT 'open-' || n, 'busy', 'shout', 'rest', 'running', '{}', now(), now() FROM generate_series(1, 50) n;
INSERT INTO call_keys SELECT 'busy', 'key-' || n, 'old-' || n, 'd' FROM generate_series(1, 100000) n
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("statistics", ["stale", "fresh"])
async def test_keys_and_caps_look_at_nothing_of_a_hundred_thousand_ended_tasks(
    running: Running, monkeypatch: pytest.MonkeyPatch, statistics: str
) -> None:
    await running.storage.database.execute("SET statement_timeout = 0;" + MANY)
    if statistics == "fresh":
        await running.storage.database.execute("VACUUM ANALYZE tasks")
        await running.storage.database.execute("VACUUM ANALYZE call_keys")
    with counted_blocks(monkeypatch) as blocks:
        await running.tasks.admit(new_task(owner="busy"), Terms("new", b"d", owner_cap=1000, flow_cap=1000))
        assert (await running.tasks.admit(new_task(owner="busy"), Terms("key-7", b"d", flow_cap=1))).task_id == "old-7"
        with pytest.raises(TooManyTasks):
            await running.tasks.admit(new_task(owner="busy"), Terms(flow_cap=20))
        assert await running.tasks.find_call("busy", "key-9", b"d") == "old-9"
        await running.tasks.cancel(canceled("open-1"), KEY)
    blocks.check(200)


def applicants(*calls: tuple[str, str, int | None, int | None]) -> list[Applicant]:
    return [
        Applicant(new_task(f"t{number}", owner=owner, flow=flow), Terms(owner_cap=of_owner, flow_cap=of_flow))
        for number, (owner, flow, of_owner, of_flow) in enumerate(calls)
    ]


def test_a_refused_call_takes_no_place_from_the_next() -> None:
    batch = applicants(("me", "full", 3, 5), ("me", "free", 3, 5), ("me", "free", 3, 5), ("you", "free", 3, 5))
    refused = over_cap(batch, Counter(me=2), Counter(full=5), Counter())
    assert refused == {"t0": OverCap("flow", 5), "t2": OverCap("owner", 3)}


def test_calls_of_one_batch_count_for_one_another() -> None:
    batch = applicants(*[("me", "free", 2, None)] * 4)
    assert list(over_cap(batch, Counter(), Counter(), Counter())) == ["t2", "t3"]

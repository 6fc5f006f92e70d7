"""One leased destination: what is sent to it, and what is recorded of that."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from typing_extensions import override

from asya_crds.envelope import Route
from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.channels import host as host_module
from asya_gateway.channels.delivering import DestinationDelivery, Tools
from asya_gateway.channels.host import DeliveryHost
from asya_gateway.channels.pacing import GIVEN_UP_AFTER
from asya_gateway.channels.slots import DeliverySlots
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.destinations import (
    DELIVERED,
    NO_LIVE_KEY,
    REVOKED,
    DeliveryCapacity,
    DeliveryOutcome,
    DeliveryProgress,
    Destination,
    HostSays,
    Lagging,
    LogPage,
)
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.domain.task import TaskHead, TaskUpdate
from asya_gateway.telemetry.observer import SILENT
from tests.support.waiting import rounds, until

NOW = datetime(2026, 11, 30, tzinfo=UTC)
AT = Destination("t", "c", "x", "o", "https://h/", "h", {}, revocables=frozenset({"key:k"}))
HEAD = TaskHead("t", TaskStatus.SUCCEEDED, "f", "o", Route((), "a", ()), 100.0, 5, NOW, NOW, finished_at=NOW)
LARGE = "x" * 1000


class Queue:
    """Keeps what is recorded; nothing lags."""

    def __init__(self) -> None:
        self.settled: list[DeliveryProgress] = []
        self.leases = 0
        self.certain = False
        """Whether what is asked for was revoked."""

    async def settle(self, settled: DeliveryProgress) -> bool:
        self.settled.append(settled)
        return True

    async def start(self, look: Callable[[Iterable[str] | None], None]) -> None:
        pass

    async def lease(self, task_ids: Iterable[str] | None, busy: DeliveryCapacity, most: int) -> Sequence[Lagging]:
        self.leases += 1
        return ()

    async def revoked(self, subjects: Collection[str]) -> bool:
        return self.certain

    async def lag(self) -> tuple[int, float]:
        return 0, 0.0

    async def give_back(self, held: Iterable[Lagging]) -> None:
        pass

    async def stop(self, held: Iterable[Lagging]) -> None:
        pass


class Reading:
    """The row of an ended task, whose bodies need room."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.charged = 0

    async def head(self, task_id: str, caller: Any) -> TaskHead:
        return HEAD

    async def whole(self, entry: TaskUpdate) -> TaskUpdate:
        if not entry.whole:
            before = self._budget.holds(Share.CALLS)
            await self._budget.reserve(Share.CALLS, len(LARGE))
            self.charged = self._budget.holds(Share.CALLS) - before
        return entry


class Sending:
    """A channel that wants everything, and whose deliveries end as they are told to."""

    name = "c"

    def __init__(self, *outcomes: DeliveryOutcome) -> None:
        self._outcomes = list(outcomes)
        self.sent: list[int] = []

    def wants(self, update: TaskUpdate, before: str) -> bool:
        return True

    async def deliver(self, destination: Destination, update: TaskUpdate) -> DeliveryOutcome:
        self.sent.append(update.seq)
        return self._outcomes.pop(0)


def entry(seq: int) -> TaskUpdate:
    return TaskUpdate("t", seq, UpdateKind.PROGRESS, TaskStatus.RUNNING, 0.0, NOW, ProgressEntry())


async def delivered(
    channel: Sending,
    *updates: TaskUpdate,
    failing: float = 0.0,
    revoked: bool = False,
    certain: bool = False,
    slots: DeliverySlots | None = None,
) -> tuple[list[DeliveryProgress], Reading]:
    """What is recorded of a delivery of these entries."""
    queue, budget = Queue(), Budget(1024 * 1024 * 1024)
    queue.certain = certain
    reading = Reading(budget)
    tools: Any = Tools(queue, reading, budget, lambda: 0.0, lambda _: revoked, SILENT, slots or DeliverySlots())  # type: ignore[arg-type]
    await DestinationDelivery(tools, channel, Lagging(AT, "l", 0, "", 3, failing)).run(LogPage(updates))
    return queue.settled, reading


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        (0.0, None),
        (GIVEN_UP_AFTER, f"every delivery has failed for 24 hours, the last one: {REVOKED}"),
    ],
    ids=["at first", "after a day"],
)
async def test_a_key_that_this_process_does_not_know_is_a_failure_and_nothing_is_sent(
    failing: float, reason: str | None
) -> None:
    channel = Sending()
    (only,), _ = await delivered(channel, entry(1), failing=failing, revoked=True)
    assert (channel.sent, only.delivered_seq, only.attempts, only.release) == ([], 0, 4, True)
    assert (only.disabled_reason, only.wait > 0) == (reason, reason is None)


async def test_what_the_database_knows_to_be_revoked_is_disabled_at_once() -> None:
    (only,), _ = await delivered(Sending(), entry(1), revoked=True, certain=True)
    assert (only.disabled_reason, only.release) == (REVOKED, True)


@pytest.mark.parametrize(
    ("outcome", "fails"),
    [
        (DeliveryOutcome(NO_LIVE_KEY), False),
        (DeliveryOutcome("its host name was not found"), False),
        (DeliveryOutcome("it answered 413", host=HostSays.SOMETHING), False),
        (DeliveryOutcome("it answered 503", host=HostSays.NOTHING), True),
    ],
    ids=lambda value: str(getattr(value, "problem", value)),
)
async def test_a_host_has_fewer_turns_only_for_what_is_its_own_fault(outcome: DeliveryOutcome, fails: bool) -> None:
    slots = DeliverySlots()
    await delivered(Sending(outcome), entry(1), slots=slots)
    assert slots.busy.hosts == ({"h": 1} if fails else {})


async def test_a_host_that_answers_one_path_badly_is_no_failing_host_any_more() -> None:
    slots = DeliverySlots()
    slots.answered("h", well=False)
    await delivered(Sending(DeliveryOutcome("it answered 404", host=HostSays.SOMETHING)), entry(1), slots=slots)
    assert slots.busy.hosts == {}


async def test_a_failure_after_a_success_is_the_first_one() -> None:
    channel = Sending(DELIVERED, DeliveryOutcome("it answered 500"))
    settled, _ = await delivered(channel, entry(1), entry(2), failing=2 * GIVEN_UP_AFTER)
    assert channel.sent == [1, 2]
    assert [(each.delivered_seq, each.attempts, each.disabled_reason) for each in settled] == [
        (1, 0, None),
        (1, 1, None),
    ]


async def test_the_bodies_of_an_end_whose_log_is_gone_are_read_when_there_is_room_for_them() -> None:
    channel = Sending(DELIVERED)
    (only,), reading = await delivered(channel)
    assert (channel.sent, only.done, only.delivered_seq) == ([HEAD.last_seq], True, HEAD.last_seq)
    assert reading.charged == len(LARGE)


class Lags(Queue):
    """One destination that lags each time that it is looked for, if nobody has it, and is read when it may be."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[Any] = []
        self.may_read = asyncio.Event()
        self.failures: list[Exception] = []
        self.held = False
        self.seq = 0
        self.given_back: list[Lagging] = []
        self.unreadable = self.unwritable = False

    @override
    async def lease(self, task_ids: Iterable[str] | None, busy: DeliveryCapacity, most: int) -> Sequence[Lagging]:
        self.looks.append(task_ids if task_ids is None else sorted(task_ids))
        if self.failures:
            raise self.failures.pop()
        if self.held or task_ids is None:
            return ()
        self.held = True
        return [Lagging(AT, "l", self.seq, "")]

    async def pages(self, cursors: Sequence[tuple[str, int]]) -> Sequence[LogPage]:
        found = [LogPage([entry(seq + 1)]) for _, seq in cursors]
        await self.may_read.wait()
        if self.unreadable:
            raise Unavailable("the database is not available")
        return found

    @override
    async def settle(self, settled: DeliveryProgress) -> bool:
        if self.unwritable:
            raise Unavailable("the database is not available")
        self.seq, self.held = settled.delivered_seq, not settled.release
        return await super().settle(settled)

    @override
    async def give_back(self, held: Iterable[Lagging]) -> None:
        self.given_back += held
        self.held = False

    @override
    async def stop(self, held: Iterable[Lagging]) -> None:
        await self.give_back(held)


@asynccontextmanager
async def hosting(queue: Lags, channel: Sending, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DeliveryHost]:
    """A host that polls only at its start."""
    monkeypatch.setattr(host_module, "POLL_EVERY", 3600.0)
    budget = Budget(1024 * 1024 * 1024)
    reading: Any = Reading(budget)
    made = DeliveryHost(queue, [channel], reading, budget=budget, clock=lambda: 0.0)
    await made.start()
    await until(lambda: queue.looks, what="the first poll")
    try:
        yield made
    finally:
        await made.stop()


async def test_what_grows_while_the_entries_before_it_are_read_is_looked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue, channel = Lags(), Sending(DELIVERED, DELIVERED)
    async with hosting(queue, channel, monkeypatch) as host:
        host.look(["t"])
        await until(lambda: queue.held)
        # The page is being read, and others are leased meanwhile.
        looks = len(queue.looks)
        host.look(["t", "u"])
        await until(lambda: len(queue.looks) > looks)
        queue.may_read.set()
        await until(lambda: channel.sent == [1, 2])


async def test_a_look_that_failed_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, channel = Lags(), Sending(DELIVERED)
    queue.may_read.set()
    async with hosting(queue, channel, monkeypatch) as host:
        monkeypatch.setattr(host_module, "POLL_EVERY", 0.05)
        queue.failures.append(Unavailable("busy"))
        host.look(["t"])
        await until(lambda: channel.sent == [1])
    assert queue.looks.count(["t"]) == 2


async def test_what_failed_once_is_repeated_without_a_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asya_gateway.channels.delivering.pause", lambda *_: 0.05)
    queue, channel = Lags(), Sending(DeliveryOutcome("it answered 500", host=HostSays.NOTHING), DELIVERED)
    queue.may_read.set()
    async with hosting(queue, channel, monkeypatch) as host:
        host.look(["t"])
        await until(lambda: channel.sent == [1, 1])


async def test_what_is_being_read_is_given_back_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, channel = Lags(), Sending()
    async with hosting(queue, channel, monkeypatch) as host:
        host.look(["t"])
        await until(lambda: queue.held)
    assert [each.destination for each in queue.given_back] == [AT]
    assert host.leased == 0


@pytest.mark.parametrize("what", ["unreadable", "unwritable"])
async def test_what_one_process_cannot_read_or_record_is_left_to_others_while_it_rests(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "RESTS_UNREADABLE", 3600.0)
    queue, channel = Lags(), Sending(DELIVERED)
    queue.may_read.set()
    setattr(queue, what, True)
    async with hosting(queue, channel, monkeypatch) as host:
        host.look(["t"])
        await until(lambda: queue.given_back, what="the lease's end")
        assert (queue.held, host.leased) == (False, 0)
        host.look(["t"])
        await rounds()
        assert queue.looks.count(["t"]) == 1


async def test_what_could_not_be_read_is_taken_again_after_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "RESTS_UNREADABLE", 0.0)
    queue, channel = Lags(), Sending(DELIVERED)
    queue.may_read.set()
    queue.unreadable = True
    async with hosting(queue, channel, monkeypatch) as host:
        host.look(["t"])
        await until(lambda: queue.given_back, what="the lease's end")
        queue.unreadable = False
        host.look(["t"])
        await until(lambda: channel.sent == [1])


async def test_nothing_is_leased_while_revocations_may_have_been_missed() -> None:
    queue, stale = Queue(), True
    host = DeliveryHost(
        queue,  # type: ignore[arg-type]
        [],
        None,  # type: ignore[arg-type]
        budget=Budget.unbounded(),
        clock=lambda: 0.0,
        stale=lambda: stale,
    )
    async with AsyncExitStack() as stack:
        await host.start()
        stack.push_async_callback(host.stop)
        await rounds()
        assert queue.leases == 0
        stale = False
        host.look(None)
        await until(lambda: queue.leases == 1)

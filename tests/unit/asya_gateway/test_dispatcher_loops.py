"""The dispatcher's loops go on, whatever a transport throws; a real one throws such things too seldom to wait for."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from typing_extensions import override

from asya_gateway.delivery import dispatcher as dispatching
from asya_gateway.delivery.dispatcher import PUBLISHERS, Dispatcher
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.ports import OutboxEntry, Refused
from asya_gateway.domain.reports import FinalReport
from asya_transports.port import OutboundMessage, TransportError
from tests.support.waiting import until


class EmptyOutbox:
    """Has no rows of its own, and takes note of what is settled."""

    def __init__(self) -> None:
        self.settled: list[int] = []

    async def take(self, limit: int, per_actor: int, most_bytes: int = 2**26) -> list[OutboxEntry]:
        return []

    async def delivered(self, ids: Sequence[int]) -> None:
        self.settled += ids

    async def failed(self, failures: Sequence[Refused]) -> None:
        """Nothing to note."""

    async def recover(self, actor: str) -> bool:
        return True

    async def replace(self, entry: OutboxEntry, reason: str) -> None:
        """Nothing to replace."""


class Trouble:
    """A transport that does once for each of `events` what it says, then publishes."""

    def __init__(self, *events: BaseException | None) -> None:
        self.events = list(events)

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        event = self.events.pop(0) if self.events else None
        await asyncio.sleep(0)
        if event is not None:
            raise event
        return [None] * len(messages)

    async def close(self) -> None:
        """Nothing to close."""


async def no_end(report: FinalReport) -> None:
    """No transport here refuses anything."""
    raise AssertionError(report)


def dispatcher(outbox: EmptyOutbox, *events: BaseException | None) -> Dispatcher:
    transport: Any = Trouble(*events)
    return Dispatcher(outbox, transport, no_end, lease=60.0)


@pytest.mark.parametrize("trouble", [asyncio.CancelledError(), RuntimeError("no")], ids=["cancelled", "broken"])
async def test_publishers_outlive_their_transports_troubles(trouble: BaseException) -> None:
    outbox = EmptyOutbox()
    tested = dispatcher(outbox, *[trouble] * PUBLISHERS)
    await tested.start()
    for number in range(PUBLISHERS):
        tested.hand_over([OutboxEntry(number, "t", "first", b"{}")])
        await until(lambda: not tested.waiting and not tested._publishes)
    tested.hand_over([OutboxEntry(99, "t", "first", b"{}")])
    await until(lambda: outbox.settled == [99])
    await tested.stop()


async def test_a_quiet_dispatcher_publishes_at_once_also_after_another_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatching, "PUBLISH_APART", 3600)
    outbox = EmptyOutbox()
    tested = dispatcher(outbox)
    await tested.start()
    for number in range(3):
        tested.hand_over([OutboxEntry(number, "t", "first", b"{}")])
        await until(lambda number=number: tested.published == number + 1, what="a publish")  # type: ignore[misc]
    await tested.stop()
    assert outbox.settled == [0, 1, 2]


async def test_a_dispatcher_that_has_published_everything_stops_at_once() -> None:
    tested = dispatcher(EmptyOutbox())
    await tested.start()
    tested.hand_over([OutboxEntry(1, "t", "first", b"{}")])
    await until(lambda: tested.published == 1)
    async with asyncio.timeout(5):
        await tested.stop(patience=60)


async def test_a_dispatcher_stops_although_a_publish_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncpg ends a canceled statement when its server has answered, which a frozen one does not."""
    monkeypatch.setattr(dispatching, "CANCELED_WITHIN", 0.05)
    publishing, thawed = asyncio.Event(), asyncio.Event()

    class Frozen(Trouble):
        @override
        async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
            publishing.set()
            try:
                await thawed.wait()
            finally:
                await thawed.wait()
            return [None] * len(messages)

    transport: Any = Frozen()
    tested = Dispatcher(EmptyOutbox(), transport, no_end, lease=60.0)
    await tested.start()
    tested.hand_over([OutboxEntry(1, "t", "first", b"{}")])
    async with asyncio.timeout(20):
        await publishing.wait()
    stopping = asyncio.create_task(tested.stop(patience=0.05))
    _, late = await asyncio.wait([stopping], timeout=20)
    thawed.set()
    assert not late


async def test_envelopes_without_room_stay_in_their_rows_and_the_others_are_given_back_when_published() -> None:
    outbox: Any = EmptyOutbox()
    budget = Budget(100_000)
    tested = Dispatcher(outbox, Trouble(), no_end, lease=60.0, budget=budget)  # type: ignore[arg-type]
    tested.hand_over([OutboxEntry(number, "t", "first", b"x" * 3_000) for number in range(10)])
    assert tested.waiting == budget.ceiling(Share.DELIVERIES) // (3 * 3_000) == 2
    await tested.start()
    await until(lambda: outbox.settled == [0, 1])
    assert budget.holds(Share.DELIVERIES) == 0
    await tested.stop()


async def test_a_batch_has_a_few_megabytes_or_one_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatching, "BATCH_BYTES", 100)
    tested = dispatcher(EmptyOutbox())
    sizes = [40, 40, 40, 500, 60, 60]
    tested.hand_over([OutboxEntry(number, "t", "first", b"x" * size) for number, size in enumerate(sizes)])
    assert [[entry.id for entry in tested._take()] for _ in range(5)] == [[0, 1], [2], [3], [4], [5]]

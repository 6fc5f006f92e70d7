"""The host of all channels: finds what lags behind the logs of its tasks, and delivers it.

The log of a task is the outbox. Whatever a process has not recorded as delivered when it ends, another one delivers
again when its lease has run out: at least once, and the first deliveries of a destination in the order of the log.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context

from asya_crds.status import UpdateKind
from asya_gateway.channels.pacing import given_up, pause
from asya_gateway.channels.slots import Slots
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.destinations import (
    REVOKED,
    Channel,
    DeliveryQueue,
    Lagging,
    LogPage,
    Outcome,
    Settled,
)
from asya_gateway.domain.errors import TaskNotFound, Unavailable
from asya_gateway.domain.identity.principals import MESH
from asya_gateway.domain.polling import POLL_EVERY
from asya_gateway.domain.reading import TaskReading
from asya_gateway.domain.task import TaskUpdate, final_update_of
from asya_gateway.telemetry.observer import SILENT, Observer
from asya_transports.bounded import stopped

log = logging.getLogger(__name__)

WEIGHT = 3
"""Weight of an entry per byte: the entry, the request made of it, and the socket's copy."""
LEAST_ROOM = 1024 * 1024
"""Bytes of the memory budget without which nothing is leased."""
MEASURE_EVERY = 10.0
POLL_RESTS = 20.0
"""A poll that took long is followed by a rest of so many times as long."""
CANCELED_WITHIN = 3.0


class DeliveryHost:
    """Delivers over the channels of one process. `revoked` tells whether what a caller registered with these revocables
    has lost its right; `clock` is the database's time."""

    def __init__(
        self,
        queue: DeliveryQueue,
        channels: Sequence[Channel],
        tasks: TaskReading,
        *,
        budget: Budget,
        clock: Clock,
        revoked: Callable[[Iterable[str]], bool] = lambda _: False,
        observer: Observer = SILENT,
    ) -> None:
        self._queue = queue
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._tasks = tasks
        self._budget = budget
        self._clock = clock
        self._revoked = revoked
        self._observer = observer
        self._slots = Slots()
        self._named: set[str] = set()
        self._everything = True
        self._wake = asyncio.Event()
        self._working: dict[asyncio.Task[None], _Delivery] = {}
        self._loops: list[asyncio.Task[None]] = []
        self.lagging: int | None = None
        self.oldest: float | None = None

    @property
    def channels(self) -> Sequence[str]:
        """Their names."""
        return tuple(self._channels)

    @property
    def leased(self) -> int:
        """Destinations that this process delivers to now."""
        return self._slots.leased

    async def start(self) -> None:
        """Begin to deliver."""
        await self._queue.start(self.look)
        self._loops = [
            asyncio.create_task(self._deliver_for_ever(), name="deliveries"),
            asyncio.create_task(self._measure_for_ever(), name="deliveries lag"),
        ]

    async def stop(self, patience: float = 3.0) -> None:
        """Lease nothing more, let what is under way end for at most `patience` seconds, and give the rest back."""
        await stopped(self._loops, CANCELED_WITHIN)
        held = [delivery.task_id for delivery in self._working.values()]
        if self._working:
            await asyncio.wait(self._working, timeout=patience)
        if late := await stopped(tuple(self._working), CANCELED_WITHIN):
            log.error("%d deliveries do not end", len(late))
        with contextlib.suppress(Unavailable):
            await self._queue.stop(held)

    def look(self, task_ids: Iterable[str] | None) -> None:
        """Deliver soon what lags of these tasks; with None of all."""
        if task_ids is None:
            self._everything = True
        else:
            self._named.update(task_ids)
        self._wake.set()

    async def _deliver_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        next_poll = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_poll):
                    await self._wake.wait()
            began = loop.time()
            everything = self._everything or began >= next_poll
            self._wake.clear()
            named, self._named, self._everything = self._named, set(), False
            for delivery in self._working.values():
                delivery.rung |= delivery.task_id in named
            try:
                await self._begin(None if everything else named)
            except Unavailable:
                await asyncio.sleep(POLL_EVERY / 5)
            except Exception:
                log.exception("what lags cannot be read")
                await asyncio.sleep(POLL_EVERY)
            if everything:
                next_poll = loop.time() + max(POLL_EVERY, min(POLL_RESTS * (loop.time() - began), 60.0))

    async def _begin(self, task_ids: Iterable[str] | None) -> None:
        """Lease, read, and begin to deliver. What there is no room for is found when there is."""
        most = self._slots.free
        if most <= 0:
            self._slots.left_behind()
            return
        if self._budget.room(Share.DELIVERIES) < min(LEAST_ROOM, self._budget.ceiling(Share.DELIVERIES)):
            return
        lagging = await self._queue.lease(task_ids, self._slots.busy, most)
        if not lagging:
            return
        self._slots.take(lagging, most)
        try:
            pages = await self._queue.pages([(each.destination.task_id, each.delivered_seq) for each in lagging])
        except BaseException:
            # Their leases run out, since the database is away.
            for each in lagging:
                self._slots.give_back(each.destination)
            raise
        for each, page in zip(lagging, pages, strict=True):
            self._budget.charge(Share.DELIVERIES, WEIGHT * page.bytes)
            delivery = _Delivery(self, each)
            task = asyncio.create_task(self._work(delivery, page), name="delivery", context=Context())
            self._working[task] = delivery
            task.add_done_callback(self._working.pop)

    async def _work(self, delivery: "_Delivery", page: LogPage) -> None:
        try:
            await delivery.run(page)
        except (Unavailable, TaskNotFound) as error:
            # The lease runs out, or the rows are gone with their task.
            log.info("a delivery is left to its lease: %s", error.message)
        except Exception:
            log.exception("a delivery failed")
        finally:
            self._budget.give_back(Share.DELIVERIES, WEIGHT * page.bytes)
            if self._slots.give_back(delivery.destination):
                self.look(None)
        if page.more or delivery.rung:
            self.look([delivery.task_id])

    async def _measure_for_ever(self) -> None:
        while True:
            try:
                self.lagging, self.oldest = await self._queue.lag()
            except Unavailable:
                self.lagging = self.oldest = None
            except Exception:
                log.exception("the lag of deliveries cannot be measured")
            await asyncio.sleep(MEASURE_EVERY)


class _Delivery:
    """One leased destination with the entries that it lacks."""

    def __init__(self, host: DeliveryHost, lagging: Lagging) -> None:
        self._host = host
        self._key = lagging.key
        self._at = self.destination = lagging.destination
        self.task_id = lagging.destination.task_id
        self.rung = False
        """Whether the log has grown meanwhile."""
        self._seq, self._status = lagging.delivered_seq, lagging.status
        self._attempts, self._failing = lagging.attempts, lagging.failing
        self._channel = host._channels[lagging.destination.channel]

    async def run(self, page: LogPage) -> None:
        """Deliver, record, and give the lease back."""
        host = self._host
        if host._revoked(self._at.revocables):
            await self._disable(REVOKED)
            return
        updates = page.updates or (() if page.more else await self._from_row())
        if not any(self._channel.wants(*pair) for pair in _with_status_before(updates, self._status)):
            await self._passed(updates)
            return
        async with host._slots.turn(self._at.host) as granted:
            if granted:
                await self._deliver(updates)
            else:
                await self._settle(release=True)

    async def _from_row(self) -> Sequence[TaskUpdate]:
        """The end, when retention has removed the log."""
        task = await self._host._tasks.get(self._at.task_id, MESH, payload=False)
        if not task.status.terminal or task.last_seq <= self._seq:
            return ()
        return (final_update_of(task, result=task.result, error=task.error),)

    async def _passed(self, updates: Sequence[TaskUpdate]) -> None:
        """Nothing of these is delivered."""
        for update in updates:
            self._move(update)
        await self._settle(release=True, done=_ends(updates), wait=0.0 if updates else POLL_EVERY)

    async def _deliver(self, updates: Sequence[TaskUpdate]) -> None:
        """In order, until one fails. Each is recorded before the next one is sent."""
        last = updates[-1]
        for update in updates:
            if not self._channel.wants(update, self._status):
                self._move(update)
                continue
            try:
                outcome = await self._sent(update)
            except Unavailable:
                await self._settle(release=True, wait=POLL_EVERY)
                return
            self._host._slots.answered(self._at.host, well=outcome.problem is None)
            if outcome.problem is not None:
                await self._failed(outcome)
                return
            self._attempts = 0
            self._move(update)
            if update is not last and not await self._settle():
                return
        await self._settle(release=True, done=_ends(updates))

    async def _sent(self, update: TaskUpdate) -> Outcome:
        host = self._host
        try:
            with host._budget.scope():
                outcome = await self._channel.deliver(self._at, await host._tasks.whole(update))
        except (Unavailable, TaskNotFound):
            raise
        except Exception:
            # An entry that cannot be rendered must not be tried without a pause.
            log.exception("a delivery of task %s failed", self._at.task_id)
            outcome = Outcome("the gateway could not make the notification")
        if outcome.problem is None:
            host._observer.delivered(self._channel.name, max(0.0, host._clock() - update.at.timestamp()))
        return outcome

    async def _failed(self, outcome: Outcome) -> None:
        self._attempts += 1
        reason = given_up(outcome, self._failing)
        if reason is not None:
            await self._disable(reason)
            return
        self._host._observer.delivery_failed(self._channel.name, disabled=False)
        log.info("delivery to %s failed, attempt %d: %s", self._at.host, self._attempts, outcome.problem)
        await self._settle(release=True, wait=pause(self._attempts, outcome.wait))

    async def _disable(self, reason: str) -> None:
        self._host._observer.delivery_failed(self._channel.name, disabled=True)
        log.warning("nothing more of task %s is delivered to %s: %s", self._at.task_id, self._at.host, reason)
        await self._settle(release=True, reason=reason)

    def _move(self, update: TaskUpdate) -> None:
        self._seq, self._status = update.seq, update.status.value

    async def _settle(
        self, *, release: bool = False, done: bool = False, wait: float = 0.0, reason: str | None = None
    ) -> bool:
        settled = Settled(
            key=self._key,
            delivered_seq=self._seq,
            status=self._status,
            attempts=self._attempts,
            wait=wait,
            disabled_reason=reason,
            done=done,
            release=release,
        )
        return await self._host._queue.settle(settled)


def _ends(updates: Sequence[TaskUpdate]) -> bool:
    return bool(updates) and updates[-1].kind is UpdateKind.FINAL


def _with_status_before(updates: Iterable[TaskUpdate], status: str) -> Iterable[tuple[TaskUpdate, str]]:
    for update in updates:
        yield update, status
        status = update.status.value

"""The host of all channels: finds what lags behind the logs of its tasks, and delivers it.

The log of a task is the outbox. Whatever a process has not recorded as delivered when it ends, another one delivers
again when its lease has run out: at least once, and the first deliveries of a destination in the order of the log.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context
from itertools import chain

from asya_gateway.channels.delivering import DestinationDelivery, Tools
from asya_gateway.channels.slots import DeliverySlots
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.destinations import Channel, DeliveryCapacity, DeliveryQueue, Lagging, LogPage
from asya_gateway.domain.errors import TaskNotFound, Unavailable
from asya_gateway.domain.polling import POLL_EVERY
from asya_gateway.domain.reading import TaskReading
from asya_gateway.telemetry.observer import SILENT, Observer
from asya_transports.bounded import ended, stopped

log = logging.getLogger(__name__)

WEIGHT = 3
"""Weight of an entry per byte: the entry, the request made of it, and the socket's copy."""
LEAST_ROOM = 1024 * 1024
"""Bytes of the memory budget without which nothing is leased."""
MEASURE_EVERY = 10.0
POLL_RESTS = 20.0
LONGEST_REST = 10.0
"""A poll that took long is followed by a rest of so many times as long, and at most of so many seconds."""
CANCELED_WITHIN = 3.0
READS_AT_ONCE = 2
"""Rounds whose entries are read at the same time, while the next one is being leased."""
LONGEST_TIMER = 60.0
"""Most seconds for which the repetition of a delivery has a timer of its own. Later ones are found by polls."""
RESTS_UNREADABLE = 5.0
"""Seconds in which a process leases nothing after it could not read or record what it had leased. Another one, for
which the database is available, takes it meanwhile."""
SURELY = 0.02
"""Seconds by which a timer ends later, so that the database's clock has passed the time, too."""


class DeliveryHost:
    """Delivers over the channels of one process. `clock` and `revoked` are as in Tools. While `stale`, this process
    cannot tell what has been revoked, and leases nothing."""

    def __init__(
        self,
        queue: DeliveryQueue,
        channels: Sequence[Channel],
        tasks: TaskReading,
        *,
        budget: Budget,
        clock: Clock,
        revoked: Callable[[Iterable[str]], bool] = lambda _: False,
        stale: Callable[[], bool] = lambda: False,
        observer: Observer = SILENT,
    ) -> None:
        self._queue = queue
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._budget = budget
        self._slots = DeliverySlots()
        self._stale = stale
        self._tools = Tools(queue, tasks, budget, clock, revoked, observer, self._slots)
        self._named: set[str] = set()
        self._everything = True
        self._wake = asyncio.Event()
        self._working: dict[asyncio.Task[None], DestinationDelivery] = {}
        self._reading: dict[asyncio.Task[None], Sequence[DestinationDelivery]] = {}
        self._leasing: asyncio.Task[Sequence[Lagging]] | None = None
        """The statement that leases, until it is known here what it has leased."""
        self._rests_until = 0.0
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
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
        held = [*await self._leased_for_nobody(patience)]
        held += [delivery.lagging for read in self._reading.values() for delivery in read]
        await stopped(tuple(self._reading), CANCELED_WITHIN)
        held += [delivery.lagging for delivery in self._working.values()]
        if self._working:
            await asyncio.wait(self._working, timeout=patience)
        if late := await stopped(tuple(self._working), CANCELED_WITHIN):
            log.error("%d deliveries do not end", len(late))
        with contextlib.suppress(Unavailable):
            await self._queue.stop(held)

    async def _leased_for_nobody(self, patience: float) -> Sequence[Lagging]:
        """What was being leased when this process stopped. The leases of a statement without an answer run out."""
        leasing = self._leasing
        if leasing is None or not await ended(leasing, patience) or leasing.cancelled() or leasing.exception():
            return ()
        return leasing.result()

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
            for delivery in chain(self._working.values(), *self._reading.values()):
                delivery.rung |= delivery.task_id in named
            try:
                await self._begin(None if everything else named)
            except Unavailable:
                self.look(None if everything else named)
                await asyncio.sleep(POLL_EVERY / 5)
            except Exception:
                log.exception("what lags cannot be leased")
                self.look(None if everything else named)
                await asyncio.sleep(POLL_EVERY)
            if everything:
                next_poll = loop.time() + max(POLL_EVERY, min(POLL_RESTS * (loop.time() - began), LONGEST_REST))

    async def _begin(self, task_ids: Iterable[str] | None) -> None:
        """Lease, and begin to read. What there is no room for is found when there is."""
        if self._stale() or asyncio.get_running_loop().time() < self._rests_until:
            # Polls find it when the process knows, and has rested.
            return
        most = self._slots.free
        if most <= 0:
            self._slots.left_behind()
            return
        if self._budget.room(Share.DELIVERIES) < min(LEAST_ROOM, self._budget.ceiling(Share.DELIVERIES)):
            return
        busy = self._slots.busy
        # A task of its own, since a stop must learn what its statement leases.
        leasing = asyncio.create_task(self._lease(task_ids, busy, most), name="deliveries lease", context=Context())
        self._leasing = leasing
        lagging = await asyncio.shield(leasing)
        self._leasing = None
        if not lagging:
            return
        self._slots.take(lagging, busy, most)
        # What has grown meanwhile does not wait until this is read.
        deliveries = [
            DestinationDelivery(self._tools, self._channels[each.destination.channel], each) for each in lagging
        ]
        task = asyncio.create_task(self._read(deliveries), name="deliveries read", context=Context())
        self._reading[task] = deliveries
        task.add_done_callback(self._reading.pop)

    async def _lease(self, task_ids: Iterable[str] | None, busy: DeliveryCapacity, most: int) -> Sequence[Lagging]:
        return await self._queue.lease(task_ids, busy, most)

    async def _read(self, deliveries: Sequence[DestinationDelivery]) -> None:
        """Read what these lack, and begin to deliver it."""
        try:
            async with self._reads:
                pages = await self._queue.pages([(each.task_id, each.lagging.delivered_seq) for each in deliveries])
        except BaseException as error:
            for each in deliveries:
                self._slots.give_back(each.destination)
            if not isinstance(error, Exception):
                raise
            log.warning("what lags cannot be read: %s", error)
            await self._leave(deliveries)
            return
        for delivery, page in zip(deliveries, pages, strict=True):
            self._budget.charge(Share.DELIVERIES, WEIGHT * page.bytes)
            task = asyncio.create_task(self._work(delivery, page), name="delivery", context=Context())
            self._working[task] = delivery
            task.add_done_callback(self._working.pop)

    async def _work(self, delivery: DestinationDelivery, page: LogPage) -> None:
        try:
            await delivery.run(page)
        except TaskNotFound as error:
            # Its rows are gone with their task.
            log.info("a delivery is left: %s", error.message)
        except Unavailable as error:
            log.info("a delivery is left to another process: %s", error.message)
            await self._leave([delivery])
        except Exception:
            log.exception("a delivery failed")
        finally:
            self._budget.give_back(Share.DELIVERIES, WEIGHT * page.bytes)
            if self._slots.give_back(delivery.destination):
                self.look(None)
            if 0 < delivery.waits <= LONGEST_TIMER:
                asyncio.get_running_loop().call_later(delivery.waits + SURELY, self.look, [delivery.task_id])
        if page.more or delivery.rung:
            self.look([delivery.task_id])

    async def _leave(self, deliveries: Iterable[DestinationDelivery]) -> None:
        """What this process cannot read or record, perhaps another one can. Without the database leases run out."""
        self._rests_until = asyncio.get_running_loop().time() + RESTS_UNREADABLE
        with contextlib.suppress(Unavailable):
            await self._queue.give_back([each.lagging for each in deliveries])

    async def _measure_for_ever(self) -> None:
        while True:
            try:
                self.lagging, self.oldest = await self._queue.lag()
            except Unavailable:
                self.lagging = self.oldest = None
            except Exception:
                log.exception("the lag of deliveries cannot be measured")
            await asyncio.sleep(MEASURE_EVERY)

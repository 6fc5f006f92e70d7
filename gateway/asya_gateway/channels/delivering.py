"""One leased destination: its entries are delivered in order, each is recorded, and the lease is given back."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from asya_crds.status import UpdateKind
from asya_gateway.channels.pacing import given_up, pause
from asya_gateway.channels.slots import DeliverySlots
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.destinations import (
    REVOKED,
    Channel,
    DeliveryOutcome,
    DeliveryProgress,
    DeliveryQueue,
    HostSays,
    Lagging,
    LogPage,
)
from asya_gateway.domain.errors import TaskNotFound, Unavailable
from asya_gateway.domain.identity.principals import MESH
from asya_gateway.domain.polling import POLL_EVERY
from asya_gateway.domain.reading import TaskReading
from asya_gateway.domain.task import TaskUpdate, final_update_of
from asya_gateway.telemetry.observer import Observer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What every delivery uses. `revoked` tells whether one of the revocables with which a caller registered is not
    valid as far as this process knows; `clock` is the database's time."""

    queue: DeliveryQueue
    tasks: TaskReading
    budget: Budget
    clock: Clock
    revoked: Callable[[Iterable[str]], bool]
    observer: Observer
    slots: DeliverySlots


class DestinationDelivery:
    """One leased destination with the entries that it lacks."""

    def __init__(self, tools: Tools, channel: Channel, lagging: Lagging) -> None:
        self._tools = tools
        self._channel = channel
        self.lagging = lagging
        self._at = self.destination = lagging.destination
        self.task_id = lagging.destination.task_id
        self.rung = False
        """Whether the log has grown meanwhile."""
        self.waits = 0.0
        """Seconds until it is to be tried again, 0 if it is not."""
        self._seq, self._status = lagging.delivered_seq, lagging.status
        self._attempts, self._failing = lagging.attempts, lagging.failing

    async def run(self, page: LogPage) -> None:
        """Deliver, record, and give the lease back."""
        tools = self._tools
        updates = page.updates or (() if page.more else await self._from_row())
        if not any(self._channel.wants(*pair) for pair in _with_status_before(updates, self._status)):
            await self._passed(updates)
            return
        if tools.revoked(self._at.revocables):
            # Perhaps only this process does not know the key, as one whose file of keys is older. What was revoked for
            # certain may have been so while no process ran that would have been told.
            certain = await tools.queue.revoked(self._at.revocables)
            await self._failed(DeliveryOutcome(REVOKED, permanent=certain))
            return
        async with tools.slots.turn(self._at.host) as granted:
            if granted:
                await self._deliver(updates)
            else:
                await self._settle(release=True)

    async def _from_row(self) -> Sequence[TaskUpdate]:
        """The end, when retention has removed the log; without its bodies, which are read when there is room."""
        task = await self._tools.tasks.head(self._at.task_id, MESH)
        if not task.status.terminal or task.last_seq <= self._seq:
            return ()
        return (final_update_of(task, result=None, error=None, whole=False),)

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
            if outcome.host is not HostSays.UNASKED:
                self._tools.slots.answered(self._at.host, well=outcome.host is HostSays.SOMETHING)
            if outcome.problem is not None:
                await self._failed(outcome)
                return
            self._attempts, self._failing = 0, 0.0
            self._move(update)
            if update is not last and not await self._settle():
                return
        await self._settle(release=True, done=_ends(updates))

    async def _sent(self, update: TaskUpdate) -> DeliveryOutcome:
        tools = self._tools
        try:
            with tools.budget.scope():
                outcome = await self._channel.deliver(self._at, await tools.tasks.whole(update))
        except (Unavailable, TaskNotFound):
            raise
        except Exception:
            # An entry that cannot be rendered must not be tried without a pause.
            log.exception("a delivery of task %s failed", self._at.task_id)
            outcome = DeliveryOutcome("the gateway could not make the notification")
        if outcome.problem is None:
            tools.observer.delivered(self._channel.name, max(0.0, tools.clock() - update.at.timestamp()))
        return outcome

    async def _failed(self, outcome: DeliveryOutcome) -> None:
        self._attempts += 1
        reason = given_up(outcome, self._failing)
        if reason is not None:
            await self._disable(reason)
            return
        self._tools.observer.delivery_failed(self._channel.name, disabled=False)
        log.info("delivery to %s failed, attempt %d: %s", self._at.host, self._attempts, outcome.problem)
        await self._settle(release=True, wait=pause(self._attempts, outcome.wait))

    async def _disable(self, reason: str) -> None:
        self._tools.observer.delivery_failed(self._channel.name, disabled=True)
        log.warning("nothing more of task %s is delivered to %s: %s", self._at.task_id, self._at.host, reason)
        await self._settle(release=True, reason=reason)

    def _move(self, update: TaskUpdate) -> None:
        self._seq, self._status = update.seq, update.status.value

    async def _settle(
        self, *, release: bool = False, done: bool = False, wait: float = 0.0, reason: str | None = None
    ) -> bool:
        self.waits = wait
        settled = DeliveryProgress(
            key=self.lagging.key,
            lease=self.lagging.lease,
            delivered_seq=self._seq,
            status=self._status,
            attempts=self._attempts,
            wait=wait,
            disabled_reason=reason,
            done=done,
            release=release,
        )
        return await self._tools.queue.settle(settled)


def _ends(updates: Sequence[TaskUpdate]) -> bool:
    return bool(updates) and updates[-1].kind is UpdateKind.FINAL


def _with_status_before(updates: Iterable[TaskUpdate], status: str) -> Iterable[tuple[TaskUpdate, str]]:
    for update in updates:
        yield update, status
        status = update.status.value

"""Publishes committed envelopes until the queue system has confirmed each of them."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

from asya_crds.offloading import Offload, OffloadFailed
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.delivery.giving_up import fails, failure_of
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.polling import POLL_EVERY
from asya_gateway.domain.ports import Outbox, OutboxEntry, Refused
from asya_gateway.domain.reports import FinalReport
from asya_gateway.telemetry.spans import Spans
from asya_transports.bounded import stopped
from asya_transports.port import MessageRefused, OutboundMessage, Transport, TransportError, Unroutable

log = logging.getLogger(__name__)

BATCH = 256
BATCH_BYTES = 8 * 1024 * 1024
"""Most bytes of a batch with more than one envelope."""
POLL_BYTES = 64 * 1024 * 1024
"""Most bytes that one poll takes, however much room there is."""
WEIGHT = 3
"""Weight of an envelope per byte: the envelope, the frames made of it, and the socket's copy."""
PUBLISHERS = 4
"""Batches that may await their confirmations at the same time."""
PUBLISH_APART = 0.01
"""Least seconds from the start of a busy dispatcher's batch to the next one, so that batches are larger. A message in a
batch of 64 costs the broker two thirds of what it costs in one of 16."""
BUSY = 16
"""Envelopes of a batch from which on a dispatcher is busy. A quiet one publishes at once, also right after another
batch."""
HANDED_KEPT = 20_000
"""Most envelopes in memory between commit and confirmation. The others stay in their rows, where a poll finds them when
their lease has run out."""
LEASE_MARGIN = 2.0
"""Seconds before the end of a row's lease, from which on its envelope is left to the next process that takes the
row."""
CANCELED_WITHIN = 3.0
"""Seconds that a stop waits for the ends of canceled publishes. Their rows stay, so nothing is lost with them."""
SETTLE_EVERY = 0.2
"""Seconds between two removals of confirmed rows. A statement for many rows costs little more than one for few."""
POLL_ROWS = 2_000
POLL_PER_ACTOR = 200
Finish = Callable[[FinalReport], Awaitable[None]]
"""Ends a task; raises Unavailable while the database is away."""


class Dispatcher:
    """Publishes envelopes accepted by this process from memory, and takes over rows whose lease has run out."""

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        finish: Finish,
        *,
        lease: float,
        spans: Spans | None = None,
        budget: Budget | None = None,
        offload: Offload | None = None,
    ) -> None:
        self._offload = offload or Offload()
        self._budget = budget or Budget.unbounded()
        self._outbox = outbox
        self._transport = transport
        self._finish = finish
        self._lease = lease
        self._spans = spans or Spans()
        self._handed: deque[tuple[float, OutboxEntry]] = deque()
        self._wake = asyncio.Event()
        self._delivered: list[int] = []
        self._failed: list[Refused] = []
        self._impossible: list[tuple[OutboxEntry, TransportError]] = []
        self._given_up: list[tuple[OutboxEntry, TransportError]] = []
        self._troubled: set[str] = set()
        """Actors for which an envelope was not accepted, and none since."""
        self._recovered: set[str] = set()
        """Actors whose waiting rows are to be sent now."""
        self._settle = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._quiet_until = 0.0
        self._room = asyncio.Semaphore(PUBLISHERS)
        self._publishes: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.published = 0
        self.refused = 0

    def hand_over(self, entries: Sequence[OutboxEntry]) -> None:
        """Take envelopes that were just committed and are leased to this process. Never blocks: an envelope without
        room stays in its row."""
        expires = time.monotonic() + self._lease - LEASE_MARGIN
        entries = entries[: HANDED_KEPT - len(self._handed)]
        weight = WEIGHT * sum([len(entry.body) for entry in entries])
        if weight <= self._budget.room(Share.DELIVERIES):
            self._budget.charge(Share.DELIVERIES, weight)
            self._handed.extend([(expires, entry) for entry in entries])
        else:
            # There may be room for some of them.
            for entry in entries:
                if self._budget.try_take(Share.DELIVERIES, WEIGHT * len(entry.body)):
                    self._handed.append((expires, entry))
        if self._handed:
            self._idle.clear()
            self._wake.set()

    @property
    def waiting(self) -> int:
        """Envelopes in memory whose publish has not begun."""
        return len(self._handed)

    async def start(self) -> None:
        """Start publishing, settling and polling."""
        self._tasks = [
            asyncio.create_task(self._publish_for_ever(), name="outbox publish"),
            asyncio.create_task(self._settle_for_ever(), name="outbox settle"),
            asyncio.create_task(self._poll_for_ever(), name="outbox poll"),
        ]

    async def stop(self, patience: float = 3.0) -> None:
        """Publish the envelopes in memory for at most `patience` seconds; the others stay in their rows. Closes the
        transport."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._idle.wait()
        tasks = (*self._tasks, *self._publishes)
        if late := await stopped(tasks, CANCELED_WITHIN):
            log.error("%d publishes do not end", len(late))
        with contextlib.suppress(Unavailable):
            await self._settle_now()
        await self._transport.close()

    async def _publish_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(0.0, self._quiet_until - time.monotonic()))
            await self._room.acquire()
            batch = self._take()
            if BUSY <= len(batch) < BATCH:
                self._quiet_until = time.monotonic() + PUBLISH_APART
            task = asyncio.create_task(self._publish_guarded(batch), name="publish", context=Context())
            self._publishes.add(task)
            task.add_done_callback(self._published)
            if not self._handed:
                self._wake.clear()

    async def _publish_guarded(self, batch: Sequence[OutboxEntry]) -> None:
        """Publish a batch. After any error the rows still exist, and are sent when their lease has run out."""
        weight = WEIGHT * sum(len(entry.body) for entry in batch)
        try:
            if batch:
                await self._publish(batch)
        except asyncio.CancelledError:
            # A cancelled future inside the transport does not mean that this task is cancelled.
            if (current := asyncio.current_task()) is not None and current.cancelling():
                raise
            log.warning("publishing was interrupted; its envelopes are sent when their lease has expired")
        except Exception:
            log.exception("a batch of envelopes is sent when its lease has expired")
        finally:
            self._budget.give_back(Share.DELIVERIES, weight)

    def _published(self, task: asyncio.Task[None]) -> None:
        self._publishes.discard(task)
        self._room.release()
        if not self._publishes and not self._handed:
            self._idle.set()

    def _take(self) -> list[OutboxEntry]:
        """The next envelopes whose lease leaves enough time to publish them."""
        now = time.monotonic()
        batch: list[OutboxEntry] = []
        size = 0
        while self._handed and len(batch) < BATCH:
            expires, entry = self._handed[0]
            if batch and size + len(entry.body) > BATCH_BYTES:
                break
            self._handed.popleft()
            if expires > now:
                batch.append(entry)
                size += len(entry.body)
            else:
                self._budget.give_back(Share.DELIVERIES, WEIGHT * len(entry.body))
        return batch

    async def _publish(self, batch: Sequence[OutboxEntry]) -> None:
        messages = [OutboundMessage(entry.actor, entry.body, entry.task_id) for entry in batch]
        answered = self._spans.publish((entry.actor, entry.task_id, entry.body) for entry in batch)
        try:
            answers = await self._transport.publish(messages)
        except TransportError as error:
            answers = [error] * len(batch)
        except Exception as error:
            log.exception("publishing failed")
            answers = [TransportError(repr(error))] * len(batch)
        answered(answers)
        for entry, answer in zip(batch, answers, strict=True):
            match answer:
                case None:
                    self._delivered.append(entry.id)
                    self.published += 1
                    if entry.actor in self._troubled:
                        self._recovered.add(entry.actor)
                case TransportError() if fails(entry, answer):
                    self._given_up.append((entry, answer))
                    self.refused += 1
                case MessageRefused():
                    self._impossible.append((entry._replace(body=b""), answer))
                    self.refused += 1
                case _:
                    self._failed.append(_without_body(entry, str(answer), unroutable=isinstance(answer, Unroutable)))
                    self._troubled.add(entry.actor)
                    self.refused += 1
        self._settle.set()

    async def _settle_for_ever(self) -> None:
        """Remove confirmed rows in batches. A row whose removal fails is published again later: delivery is at least
        once, and the worker's claim ensures that the work is done once."""
        while True:
            await self._settle.wait()
            await asyncio.sleep(SETTLE_EVERY)
            self._settle.clear()
            try:
                await self._settle_now()
            except Unavailable:
                await asyncio.sleep(0.2)
                self._settle.set()
            except Exception:
                log.exception("settling the outbox failed")
                await asyncio.sleep(1.0)

    async def _settle_now(self) -> None:
        await self._replace_given_up()
        await self._end_impossible()
        while self._delivered or self._failed:
            delivered, self._delivered = self._delivered, []
            failed, self._failed = self._failed, []
            try:
                if delivered:
                    await self._outbox.delivered(delivered)
                    delivered = []
                if failed:
                    example = failed[0].reason
                    log.warning("%d envelopes were not accepted by the queue system: %s", len(failed), example)
                    await self._outbox.failed(failed)
                    failed = []
            finally:
                self._delivered += delivered
                self._failed += failed
        await self._recover()

    async def _recover(self) -> None:
        """Send what waits for queues that accept messages again, instead of when its wait is over. Of a long backlog, a
        part each time that an envelope is accepted."""
        while self._recovered:
            actor = self._recovered.pop()
            if await self._outbox.recover(actor):
                self._troubled.discard(actor)

    async def _replace_given_up(self) -> None:
        """Put failures in the place of envelopes that hops sent and that cannot be delivered. A row left by a crash is
        refused again."""
        while self._given_up:
            entry, error = self._given_up[0]
            log.error("%s cannot be sent to %s: %s", entry.task_id, entry.actor, error)
            try:
                await self._outbox.replace(await failure_of(entry, error, self._offload), str(error))
            except ValueError:
                self._impossible.append((entry._replace(body=b""), error))
            except OffloadFailed as failure:
                self._failed.append(_without_body(entry, str(failure)))
            self._given_up.pop(0)

    async def _end_impossible(self) -> None:
        """End the tasks of envelopes that cannot be delivered, then remove their rows. A row left by a crash is refused
        again; its task has already ended."""
        while self._impossible:
            entry, reason = self._impossible[0]
            log.warning("task %s fails, since the queue system rejects its envelope: %s", entry.task_id, reason)
            await self._finish(_refused(entry, reason))
            self._impossible.pop(0)
            self._delivered.append(entry.id)

    async def check(self) -> None:
        """Return if the queue system can be reached; raises TransportError with the reason if not."""
        await self._transport.check()

    def _room_for_rows(self) -> int:
        """Bytes of envelopes that may be taken from the database now; 0 if memory is full."""
        room = self._budget.room(Share.DELIVERIES) // WEIGHT
        if not self._budget.holds(Share.DELIVERIES):
            return max(room, 1)
        return min(room, POLL_BYTES) if room > BATCH_BYTES // 8 else 0

    async def _poll_for_ever(self) -> None:
        while True:
            await asyncio.sleep(POLL_EVERY)
            try:
                while len(self._handed) < HANDED_KEPT // 2 and (most := self._room_for_rows()):
                    entries = await self._outbox.take(POLL_ROWS, POLL_PER_ACTOR, most)
                    self.hand_over(entries)
                    if len(entries) < POLL_PER_ACTOR and sum(len(entry.body) for entry in entries) < most // 2:
                        break
            except Unavailable:
                continue
            except Exception:
                log.exception("polling the outbox failed")


def _without_body(entry: OutboxEntry, reason: str, *, unroutable: bool = False) -> Refused:
    """The budget for the body is given back before the refusal is stored."""
    return Refused(entry._replace(body=b""), reason, unroutable)


def _refused(entry: OutboxEntry, reason: TransportError) -> FinalReport:
    message = f"the envelope to {entry.actor} cannot be sent: {reason}"
    error = TaskError(reason.code or "undeliverable", message, ErrorClass.RUNTIME, actor=entry.actor)
    return FinalReport(task_id=entry.task_id, status=TaskStatus.FAILED, message=message, error=error, owner=EVERY_OWNER)

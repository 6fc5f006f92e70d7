"""The notes of the audit: taken at once, logged and stored in batches, so that no call waits for them."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord, AuditStore, say

log = logging.getLogger(__name__)

WRITE_EVERY = 1.0
"""Seconds between two batches."""
BATCH = 500
"""Most records of one batch."""
MOST_WAITING = 10_000
"""Records that wait while the database is away or slow. Further ones are lost, and counted."""
MOST_PAIRS = 10_000
"""Pairs of source and reason, and of principal and source, that are told apart within a minute."""
EVERYBODY = "*"
"""The source of refusals beyond MOST_PAIRS."""
FAREWELL = 3.0
"""Most seconds that a process spends on its last records when it ends."""


@dataclass(slots=True)
class _Refusals:
    """Refusals for one reason, of one source in one minute: those not yet written."""

    count: int = 0
    written: bool = False


class AuditTrail:
    """Implements Audit. The first refusal of a minute is written with the next batch, the number of the others when the
    minute is over; so a flood of bad credentials makes two lines and two statements a minute."""

    def __init__(
        self, store: AuditStore, clock: Clock, *, write_every: float = WRITE_EVERY, most_waiting: int = MOST_WAITING
    ) -> None:
        self._store = store
        self._clock = clock
        self._write_every = write_every
        self._most_waiting = most_waiting
        self._waiting: deque[AuditRecord] = deque()
        self._refusals: dict[tuple[float, str, str], _Refusals] = {}
        self._admitted: set[tuple[str, str]] = set()
        self._minute = 0.0
        self._task: asyncio.Task[None] | None = None
        self.lost = 0
        """Records that were not stored, because too many were waiting, or because they cannot be stored."""

    @property
    def waiting(self) -> int:
        """Records that wait to be stored."""
        return len(self._waiting)

    def refused(self, reason: str, source: str) -> None:
        """Count a refusal. `reason` comes from a bounded vocabulary."""
        key = (self._this_minute(), source, reason)
        found = self._refusals.get(key)
        if found is None:
            if len(self._refusals) >= MOST_PAIRS:
                key = (key[0], EVERYBODY, reason)
            found = self._refusals.setdefault(key, _Refusals())
        found.count += 1

    def admitted(self, principal: str, via: str, source: str) -> None:
        """Note the first success of a principal from a source in a minute."""
        minute = self._this_minute()
        pair = (principal, source)
        if pair in self._admitted:
            # Nearly every request of a caller.
            return
        if len(self._admitted) >= MOST_PAIRS:
            self.lost += 1
            return
        self._admitted.add(pair)
        self.note(AuditRecord(AuditEvent.ADMITTED, principal, via, source, at=minute))

    def note(self, record: AuditRecord) -> None:
        """Anything else. Its time is now unless it has one."""
        self._take(record if record.at is not None else replace(record, at=self._clock()))

    async def start(self) -> None:
        """Write batches from now on."""
        self._task = asyncio.create_task(self._write_for_ever(), name="audit")

    async def stop(self) -> None:
        """Write what is left, if the database answers soon. May be called twice."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._take_refusals(every=True)
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                while self._waiting:
                    await self.write()

    async def write(self) -> None:
        """Store one batch. Raises Unavailable, and then keeps it."""
        self._take_refusals()
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not batch:
            return
        try:
            await self._store.write(batch)
        except (Unavailable, asyncio.CancelledError):
            self._waiting.extendleft(reversed(batch))
            raise
        except Exception:
            # A record that cannot be stored must not stop those behind it.
            self.lost += len(batch)
            log.exception("%d records of the audit cannot be stored", len(batch))

    def _take(self, record: AuditRecord) -> None:
        """Log a record at once, so that the log has it while the database is away, and let it wait for its batch."""
        say(record)
        if len(self._waiting) < self._most_waiting:
            self._waiting.append(record)
        else:
            self.lost += 1

    def _take_refusals(self, *, every: bool = False) -> None:
        """Take those to be written now: first ones, and the numbers of past minutes (or of every minute)."""
        minute = self._this_minute()
        for key, refusals in tuple(self._refusals.items()):
            at, source, reason = key
            over = every or at != minute
            if refusals.count and (over or not refusals.written):
                self._take(AuditRecord(AuditEvent.REFUSED, source=source, reason=reason, count=refusals.count, at=at))
                refusals.count, refusals.written = 0, True
            if over:
                del self._refusals[key]

    def _this_minute(self) -> float:
        now = self._clock()
        if not self._minute <= now < self._minute + 60:
            self._minute = now // 60 * 60
            self._admitted.clear()
        return self._minute

    async def _write_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._write_every)
            try:
                await self.write()
                while len(self._waiting) >= BATCH:
                    await self.write()
            except Unavailable:
                log.info("audit: the database is not available; %d records wait", len(self._waiting))

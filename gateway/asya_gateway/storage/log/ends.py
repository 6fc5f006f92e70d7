"""Waiting for the ends of tasks: no log is read for a caller who wants only the outcome."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.task import Task, TaskHead
from asya_gateway.storage.database import Database
from asya_gateway.storage.log.newborn import Newborn
from asya_gateway.storage.log.rounds import ReadRounds
from asya_gateway.storage.log.waiter import Waiter
from asya_gateway.storage.tasks.outcomes import Awaited, NotFound, Outcome, outcomes

READ_AT_ONCE = 64
"""Most tasks of one statement, whose bodies are in memory at the same time."""


class TaskEndWatch:
    """One caller who waits for one task. Implements the domain's EndWatch."""

    def __init__(self, task_id: str, owner: OwnerScope, payload: bool, known: bool) -> None:
        self.task_id = task_id
        self._owner = owner
        self._payload = payload
        self._known = known
        self._outcome: Outcome = None
        self._waiter = Waiter()

    @property
    def hungry(self) -> bool:
        """Whether the outcome is not known yet."""
        return self._outcome is None

    @property
    def awaited(self) -> Awaited:
        """What to read for it."""
        return Awaited(self.task_id, self._owner, self._payload, self._known)

    def take(self, outcome: Outcome) -> None:
        """What was read."""
        self._known = True
        if outcome is not None:
            self._outcome = outcome
            self._waiter.wake()

    async def next(self, wait: float) -> Task | TaskHead | None:
        """The outcome, as the domain's EndWatch gives it."""
        if self._outcome is None:
            await self._waiter.wait(wait)
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, NotFound):
            raise TaskNotFound(self.task_id)
        return outcome


class Ends:
    """Reads the tasks that somebody waits for when their logs have grown, one statement at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watches: dict[str, set[TaskEndWatch]] = defaultdict(set)
        self._rounds = ReadRounds("ends", self._read)
        self.start, self.stop = self._rounds.start, self._rounds.stop
        self.newborn = Newborn()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._watches.values()))

    def look_at(self, task_ids: Iterable[str]) -> None:
        """The logs of these tasks have grown."""
        task_ids = tuple(task_ids)
        self.newborn.rung(task_ids)
        self._rounds.look_at([task_id for task_id in task_ids if task_id in self._watches])

    def look_at_all(self) -> None:
        """Rings may have been missed."""
        self.newborn.forget()
        self._rounds.look_at_all()

    @contextlib.contextmanager
    def watch(self, task_id: str, owner: OwnerScope, payload: bool) -> Iterator[TaskEndWatch]:
        """Wait for a task while the block runs."""
        known = self.newborn.take(task_id, owner)
        watch = TaskEndWatch(task_id, owner, payload, known)
        self._watches[task_id].add(watch)
        if not known:
            self._rounds.look_at([task_id])
        try:
            yield watch
        finally:
            group = self._watches[task_id]
            group.discard(watch)
            if not group:
                del self._watches[task_id]

    async def _read(self, task_ids: set[str] | None) -> None:
        ids = tuple(self._watches) if task_ids is None else task_ids
        hungry = [watch for task_id in ids for watch in self._watches.get(task_id, ()) if watch.hungry]
        for start in range(0, len(hungry), READ_AT_ONCE):
            await self._read_some(hungry[start : start + READ_AT_ONCE])

    async def _read_some(self, watches: Sequence[TaskEndWatch]) -> None:
        found = await outcomes(self._database, [watch.awaited for watch in watches])
        for watch, outcome in zip(watches, found, strict=True):
            watch.take(outcome)

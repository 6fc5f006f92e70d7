"""Ends the descendants of an ended task in chunks (descendants.py), several chunks at a time.

The task's own end is committed before. From then on, every statement that lets work begin checks the ancestors
(guards.ended_above), so it does not matter how long the rest takes.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.chunks import CHUNK, Chunk
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.descendants import SLOTS, Descendants, Ended, Range, SharedEnd

log = logging.getLogger(__name__)

WALKERS = SLOTS
"""Chunks that a process ends at the same time, each on its own connection."""
BETWEEN = 0.01
"""Seconds between two chunks of a walker, so that others can use the database."""
SLOT_ASKED_EVERY = 0.1
"""Seconds between two attempts of a walker to get a slot."""
TREES = 10_000
"""Most ended tasks whose children wait to be ended in this process. The orphan sweep finds the others."""


@dataclass(slots=True, eq=False)
class _Tree:
    """A task that has ended, and the remaining ranges below it, the deepest last. In this order there are never many
    more ranges than one chunk for each level. Ranges with children that were locked by others come first, so they are
    processed last."""

    end: SharedEnd
    ranges: list[Range]
    at_work: int = 0
    """Walkers that have taken a range and may add others."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> bool:
        return not self.ranges and not self.at_work


class Cascade:
    """Ends the descendants of ended tasks, taking turns between trees. Each of several walkers takes a chunk at a time,
    all from one tree if there is only one. Other processes may work on the same tree: they skip rows that are being
    ended.

    Trees are kept in memory only. What a process leaves unfinished is found by the orphan sweep of any process.
    """

    def __init__(self, database: Database, over: Callable[[Sequence[str]], None], ended: Ended) -> None:
        self._descendants = Descendants(database, over, ended)
        self._trees: OrderedDict[str, _Tree] = OrderedDict()
        self._chunk = Chunk(CHUNK)
        self._wake = asyncio.Event()
        self._walkers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the walkers."""
        self._walkers = [
            asyncio.create_task(self._walk_for_ever(), name=f"cascade {number}") for number in range(WALKERS)
        ]

    async def stop(self) -> None:
        """Stop the walkers."""
        for walker in self._walkers:
            walker.cancel()
        await asyncio.gather(*self._walkers, return_exceptions=True)
        for tree in self._trees.values():
            tree.begun.set()

    def take(self, task_id: str, end: SharedEnd) -> None:
        """Queue the descendants of an ended task. Returns at once."""
        if task_id not in self._trees and len(self._trees) < TREES:
            self._trees[task_id] = _Tree(end, [Range(task_id)])
            self._wake.set()

    def at_work_below(self, task_id: str) -> bool:
        """Whether this process is already ending the descendants of this task."""
        return task_id in self._trees

    async def begun(self, task_id: str, patience: float) -> None:
        """Wait until the first chunk below a task, if any, has ended. A small tree has then ended completely."""
        tree = self._trees.get(task_id)
        if tree is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await tree.begun.wait()

    async def below(self, task_id: str, end: SharedEnd) -> int:
        """End all descendants, one chunk at a time; returns how many this call ended. Raises Unavailable."""
        tree, count = _Tree(end, [Range(task_id)]), 0
        while tree.ranges:
            count += await self._step(tree)
        return count

    async def end_with(self, ancestor: str, ids: Sequence[str]) -> int:
        """End these descendants of an ended task; returns how many this call ended. Raises Unavailable."""
        return await self._descendants.end_each(ids, await self.end_of(ancestor))

    async def end_of(self, task_id: str) -> SharedEnd:
        """How the task ended. Raises Unavailable."""
        return await self._descendants.end_of(task_id)

    async def _walk_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            found = self._next()
            if found is None:
                self._wake.clear()
                continue
            task_id, tree = found
            try:
                await self._step(tree)
            except Unavailable:
                await asyncio.sleep(0.5)
                continue
            except Exception:
                log.exception("the descendants of a task are left to the sweeper", extra={"task_id": task_id})
                tree.ranges.clear()
            if tree.done:
                self._trees.pop(task_id, None)
            if tree.done or not any(left.held for left in tree.ranges):
                tree.begun.set()
            await asyncio.sleep(BETWEEN if self._trees else 0)

    def _next(self) -> tuple[str, _Tree] | None:
        """The next tree in turn that has a remaining range."""
        for task_id, tree in self._trees.items():
            if tree.ranges:
                self._trees.move_to_end(task_id)
                return task_id, tree
        return None

    async def _step(self, tree: _Tree) -> int:
        """End one chunk of the deepest remaining children. Unfinished parts stay in the tree."""
        taken = tree.ranges.pop()
        tree.at_work += 1
        try:
            with self._chunk.judged():
                size = self._chunk.size
                taken, rest = await self._descendants.cut(taken, size)
                if rest is not None:
                    self._leave(tree, rest)
                # Children announced in between are among the newest.
                return await self._end(tree, taken, 2 * size)
        except Unavailable:
            self._leave(tree, taken)
            raise
        finally:
            tree.at_work -= 1

    async def _end(self, tree: _Tree, taken: Range, most: int) -> int:
        if taken.held:
            return await self._descendants.end_held(taken, tree.end, most)
        # There is no notification for a free slot, so this polls.
        while (ended := await self._descendants.end_range(taken, tree.end, most)) is None:  # noqa: ASYNC110
            await asyncio.sleep(SLOT_ASKED_EVERY)
        if ended.missed:
            tree.ranges.insert(0, replace(taken, held=True))
        # Open tasks below a child that had already ended are ended too.
        for parent_id in ended.parents:
            self._leave(tree, Range(parent_id))
        return ended.count

    def _leave(self, tree: _Tree, left: Range) -> None:
        tree.ranges.append(left)
        self._wake.set()

"""Readers that come in a moment: what is said of their tasks meanwhile is kept for them."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

EXPECTED_FOR = 10.0
"""Seconds for which a reader is expected. It comes within milliseconds, or as often as it is expected again."""
MOST_EXPECTED = 4096
"""Most readers that are expected at a time. Beyond it, the one that was expected first is given up."""

F = TypeVar("F")


class ExpectedReaders(Generic[F]):
    """Followers by the ids of their tasks, each until its reader comes. `leave` is called with one whose reader does
    not come."""

    def __init__(self, leave: Callable[[F], None]) -> None:
        self._leave = leave
        self._waiting: dict[str, tuple[F, asyncio.TimerHandle]] = {}

    def keep(self, task_id: str, follower: F) -> None:
        """Keep a follower, in place of one that is kept for the same task."""
        self.forget(task_id)
        timer = asyncio.get_running_loop().call_later(EXPECTED_FOR, self.forget, task_id)
        self._waiting[task_id] = follower, timer
        if len(self._waiting) > MOST_EXPECTED:
            self.forget(next(iter(self._waiting)))

    def renew(self, task_id: str) -> bool:
        """Keep the task's follower for the whole time from now on; False if there is none."""
        follower = self.take(task_id)
        if follower is None:
            return False
        self.keep(task_id, follower)
        return True

    def take(self, task_id: str) -> F | None:
        """The follower, which is its reader's from now on."""
        follower, timer = self._waiting.pop(task_id, (None, None))
        if timer is not None:
            timer.cancel()
        return follower

    def forget(self, task_id: str) -> None:
        """Nobody is expected any more."""
        follower = self.take(task_id)
        if follower is not None:
            self._leave(follower)

    def forget_all(self) -> None:
        """The same for every task."""
        for task_id in tuple(self._waiting):
            self.forget(task_id)

"""Room in the memory budget for the stored part of a log, page by page, while a reader takes it."""

from typing import Self

from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.task import LOG_PAGE

SMALL_PAGE = 64 * 1024
"""Bytes of a page where there is no room for a whole one."""
WEIGHT = 3
"""Weight of an entry per byte: the entry, the event made of it, and the socket's copy."""


class PageRoom:
    """Room for one page of one reader: taken before it is read, and free when the reader asks for the next one. A page
    may have more bytes than there was room for, because it has one entry at least. They are charged when it is read."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    def at_once(self) -> int:
        """The bytes that a page may have now; 0 if it must wait."""
        for most in (LOG_PAGE, SMALL_PAGE):
            if self._budget.take_in_turn(Share.LOGS, WEIGHT * most):
                self._held = WEIGHT * most
                return most
        return 0

    async def within(self, seconds: float) -> int:
        """The same after a wait of at most so many seconds."""
        if most := self.at_once():
            return most
        if not await self._budget.wait(Share.LOGS, WEIGHT * SMALL_PAGE, seconds):
            return 0
        self._held = WEIGHT * SMALL_PAGE
        return SMALL_PAGE

    def has(self, size: int) -> None:
        """The page that was read has so many bytes."""
        held, self._held = self._held, WEIGHT * size
        if held < self._held:
            self._budget.charge(Share.LOGS, self._held - held)
        else:
            self._budget.give_back(Share.LOGS, held - self._held)

    def free(self) -> None:
        """The reader has taken the page."""
        self.has(0)

"""The size of each statement of a long operation: halved after a statement that took too long."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg

from asya_gateway.domain.errors import Unavailable

log = logging.getLogger(__name__)

CHUNK = 1_000
"""Most rows of one statement of a long operation."""
TOO_LONG = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError, TimeoutError)
"""Errors of a statement that was too large. It had no effect, or its effect is unknown."""
GROWS_AFTER = 8
"""Number of statements in time, after which the size doubles."""


@dataclass
class Chunk:
    """The rows (or another measure) of the next statement: at most `largest`, halved after each statement that took too
    long."""

    largest: int
    size: int = 0
    in_time: int = 0

    def __post_init__(self) -> None:
        self.size = self.size or self.largest

    @contextlib.contextmanager
    def judged(self) -> Iterator[None]:
        """Wraps one statement of that size. Its errors are passed on."""
        try:
            yield
        except Unavailable as error:
            if isinstance(error.__cause__, TOO_LONG):
                self.halve()
            raise
        self.in_time += 1
        if self.in_time >= GROWS_AFTER and self.size < self.largest:
            self.size, self.in_time = min(self.largest, self.size * 2), 0

    def halve(self) -> None:
        """Halve the size; it stays at least one."""
        self.size, self.in_time = max(1, self.size // 2), 0
        log.info("a statement took too long, the next one is limited to %d", self.size)

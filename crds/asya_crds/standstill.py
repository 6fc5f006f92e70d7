"""A process that stands still while it is asked for something: stopped, or waiting for what never comes.

One that works, or that waits for a core or for the disk, may be slow and is left alone.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

EVERY = 0.5
"""Seconds between two looks."""
_STANDING = frozenset("STt")
"""Asleep, stopped, traced (proc(5), /proc/pid/stat)."""


class Standstill:
    """Calls `found` once the process has used no time of a core for so many seconds, asleep or stopped at each look.
    A loop that is late looks late, so that what it did not read in the meantime is not held against the process."""

    def __init__(self, pid: int, seconds: float, found: Callable[[], None]) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._seconds, self._found = seconds, found
        self._used, self._still = -1, 0.0
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        try:
            fields = self._stat.read_text().rpartition(")")[2].split()
        except OSError:
            # It has ended, or this system has no such file.
            return
        used = int(fields[11]) + int(fields[12])
        self._still = self._still + EVERY if used == self._used and fields[0] in _STANDING else 0.0
        self._used = used
        if self._still >= self._seconds:
            self._found()
        else:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

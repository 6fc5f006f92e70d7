"""Detects a process that makes no progress while it has work: stopped, or waiting for something that never comes.

A process that works, or waits for a core or the disk, may be slow and is left alone.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

EVERY = 0.5
"""Seconds between two checks."""
_STANDING = frozenset("STt")
"""Asleep, stopped, traced (proc(5), /proc/pid/stat)."""


class Standstill:
    """Calls `found` once the process has used no CPU time for the given number of seconds and was asleep or stopped at
    each check. If the event loop is late, so are the checks: answers that the loop has not read yet do not count
    against the process."""

    def __init__(self, pid: int, seconds: float, found: Callable[[], None]) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._seconds, self._found = seconds, found
        self._used, self._still = -1, 0.0
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def stop(self) -> None:
        """Stop checking."""
        self._timer.cancel()

    def _look(self) -> None:
        try:
            fields = self._stat.read_text().rpartition(")")[2].split()
        except OSError:
            # The process has ended, or this system has no such file.
            return
        used = int(fields[11]) + int(fields[12])
        self._still = self._still + EVERY if used == self._used and fields[0] in _STANDING else 0.0
        self._used = used
        if self._still >= self._seconds:
            self._found()
        else:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

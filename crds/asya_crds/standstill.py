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
    """Calls `found` once the process has used no CPU time for the given number of seconds, was asleep or stopped at
    each check, and `passed` has not changed: the bytes that went to and from the process, which waits for its reader
    while that one is late, and needs less than a tick of the clock for what fits into a pipe. If the event loop is
    late, so are the checks: answers that the loop has not read yet do not count against the process."""

    def __init__(self, pid: int, seconds: float, found: Callable[[], None], passed: Callable[[], object]) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._seconds, self._found, self._passed = seconds, found, passed
        self._progress: object = None
        self._still = 0.0
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
        progress = (fields[11], fields[12], self._passed())
        self._still = self._still + EVERY if progress == self._progress and fields[0] in _STANDING else 0.0
        self._progress = progress
        if self._still >= self._seconds:
            self._found()
        else:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

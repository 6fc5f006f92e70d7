"""How long a held request may wait for its task."""

import time
from collections.abc import Callable
from typing import Self

from asya_crds.flow import Flow
from asya_gateway.settings import Settings

SWEEP_GRACE = 5.0
"""Seconds beyond a flow's timeout, in which the sweeper ends the task, so that the caller gets the reason."""
TICK = 1.0
"""Seconds between two checks of the limit while nothing happens; shorter if a drain leaves less time."""


class WaitLimit:
    """A time limit that becomes shorter when the pod drains, so that the caller gets an answer instead of a broken
    connection. `draining` says whether it drains; from then on the wait lasts at most `drain_seconds`."""

    def __init__(self, seconds: float, *, drain_seconds: float, draining: Callable[[], bool]) -> None:
        self._began = time.monotonic()
        self._until = self._began + seconds
        self._drain_seconds = drain_seconds
        self._draining = draining
        self._hurrying = False

    @classmethod
    def within(cls, seconds: float, settings: Settings, draining: Callable[[], bool]) -> Self:
        """At most so many seconds, and at most as long as a drain allows."""
        # The server waits half of drain_timeout for its handlers before it cancels them.
        handlers = settings.drain_timeout / 2
        return cls(seconds, drain_seconds=handlers - min(2.0, handlers / 2), draining=draining)

    @classmethod
    def of(cls, flow: Flow, settings: Settings, draining: Callable[[], bool]) -> Self:
        """For a call that blocks until its task has ended: the flow's timeout, or mcp_max_wait if it has none."""
        seconds = settings.mcp_max_wait if flow.timeout is None else flow.timeout + SWEEP_GRACE
        return cls.within(seconds, settings, draining)

    @property
    def tick(self) -> float:
        """Seconds after which to check `over` again."""
        return min(TICK, max(0.02, self._drain_seconds / 4), max(0.01, self._until - time.monotonic()))

    @property
    def spent(self) -> int:
        """Whole seconds since the wait began."""
        return int(time.monotonic() - self._began)

    @property
    def over(self) -> bool:
        """Whether the request must be answered now."""
        now = time.monotonic()
        if not self._hurrying and self._draining():
            self._hurrying = True
            self._until = min(self._until, now + self._drain_seconds)
        return now >= self._until

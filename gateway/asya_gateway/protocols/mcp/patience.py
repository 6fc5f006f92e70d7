"""How long a blocking call holds."""

import time
from collections.abc import Callable
from typing import Self

from asya_crds.flow import Flow
from asya_gateway.settings import Settings

SWEEP_GRACE = 5.0
"""Seconds beyond a flow's timeout: the sweeper needs a moment to end the task, and then the caller hears why."""


class Patience:
    """The flow's timeout, or mcp_max_wait for a flow without one; cut short when the pod is told to end, so that
    the caller gets an answer rather than a broken stream."""

    def __init__(self, seconds: float, *, drain_seconds: float, draining: Callable[[], bool]) -> None:
        self._began = time.monotonic()
        self._until = self._began + seconds
        self._drain_seconds = drain_seconds
        self._draining = draining
        self._hurrying = False

    @classmethod
    def of(cls, flow: Flow, settings: Settings, draining: Callable[[], bool]) -> Self:
        """The patience with a call of this flow."""
        seconds = settings.mcp_max_wait if flow.timeout is None else flow.timeout + SWEEP_GRACE
        # The server waits half of drain_timeout for its handlers before it cancels them.
        return cls(seconds, drain_seconds=max(0.0, settings.drain_timeout / 2 - 2), draining=draining)

    @property
    def spent(self) -> int:
        """Whole seconds since it began."""
        return int(time.monotonic() - self._began)

    @property
    def over(self) -> bool:
        """Whether the call is to be answered now."""
        now = time.monotonic()
        if not self._hurrying and self._draining():
            self._hurrying = True
            self._until = min(self._until, now + self._drain_seconds)
        return now >= self._until

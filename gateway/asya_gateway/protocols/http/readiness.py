"""Whether this process should get requests, as /health/ready and the drain see it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Readiness:
    """`started` once everything is connected, `draining` from SIGTERM on, `closing` when the port closes: until then a
    draining process serves whatever still comes to it.

    A database outage after the start is not included. Otherwise every pod would leave the Service at once, and callers
    would get a refused connection instead of a 503 with the reason and a Retry-After.
    """

    started: bool = False
    draining: bool = False
    closing: bool = False

    @property
    def ready(self) -> bool:
        """Whether the Service should send requests here."""
        return self.started and not self.draining

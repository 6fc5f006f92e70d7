"""Whether this process should get requests: the one fact that /health/ready and the drain share."""

from dataclasses import dataclass


@dataclass(slots=True)
class Readiness:
    """`started` once everything is connected, `draining` from SIGTERM on.

    A database that goes away later is not in here: every pod would leave the Service at once, and callers would
    get a refused connection where they now get a 503 that says why and when to come back.
    """

    started: bool = False
    draining: bool = False

    @property
    def ready(self) -> bool:
        """Whether the Service should send requests here."""
        return self.started and not self.draining

"""What renews the claim of one hop: a report that its handler is still running."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Protocol

from asya_actor.mesh.client import BatchLimits
from asya_actor.telemetry.tracing import carried


@dataclass(frozen=True, slots=True)
class Together:
    """A gateway that takes reports together: its URL, the worker's queues as JSON text, and the offers of all
    gateways."""

    base: str
    queues: str
    offers: "dict[str, BatchLimits]" = field(compare=False)

    def offered(self) -> bool:
        """Whether it still does."""
        return self.base in self.offers

    def withdraw(self) -> None:
        """It does not any more."""
        self.offers.pop(self.base, None)


class Reporter(Protocol):
    """The reports of one hop."""

    def processing(self, actor: str) -> Mapping[str, Any]:
        """The body of a single report that the handler is running."""

    def alive(self) -> str:
        """The same as a report for a gateway that takes them together, as JSON text."""

    def lose(self) -> None:
        """The hop is no longer ours. Called in the event loop."""


@dataclass(eq=False, slots=True)
class Sign:
    """The renewal for one hop of `actor`, due at least every `lease` seconds. It must be made in the event loop, in the
    hop's own context. `given`: when mesh last accepted a report (monotonic); every sender of a report sets it."""

    base: str
    task_id: str
    reporter: Reporter
    actor: str
    lease: float
    together: Together | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    context: Context = field(default_factory=copy_context)
    given: float = field(default_factory=time.monotonic)
    asked: float = 0.0
    """When a report was last sent from the event loop."""

    def headers(self) -> Mapping[str, str]:
        """Of a request about this hop."""
        trace = self.context.run(carried)
        return {"Content-Type": "application/json", "Accept": "application/json", **trace}

    def renewed(self, action: object, *, in_loop: bool) -> None:
        """Mesh has answered."""
        self.given = time.monotonic()
        if action != "done":
            return
        if in_loop:
            self.reporter.lose()
            return
        with contextlib.suppress(RuntimeError):  # the loop was closed, so no handler is running
            self.loop.call_soon_threadsafe(self.reporter.lose)


def together(line: Together, signs: Sequence[Sign]) -> bytes:
    """The request that renews these claims."""
    reports = ",".join(sign.reporter.alive() for sign in signs)
    return f'{{"queues":{line.queues},"reports":[{reports}]}}'.encode()

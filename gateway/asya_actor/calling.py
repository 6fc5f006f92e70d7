"""One call of an actor's handler: its live events, its time limit, and its end when the hop is lost."""

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import cache

from prometheus_client import Histogram

from asya_actor.contract.message import Frame, HandlerMessage
from asya_actor.failures import Failure, describe, overdue, timed_out
from asya_actor.forwarding import forward
from asya_actor.handlers.invoking import HandlerFailed, Invocation
from asya_actor.mesh.live import LiveEventsOfCall
from asya_actor.mesh.reporting import HopReports, Life
from asya_actor.runtime import ActorRuntime
from asya_actor.telemetry.metrics import HANDLER_SECONDS
from asya_crds.envelope import Envelope, Route

log = logging.getLogger(__name__)

CANCEL_GRACE = 5.0
"""Seconds that a handler has to end after its cancellation."""
RELEASE_GRACE = 1.0
"""The same when the worker itself is stopping and only its claim depends on it."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """The outcome of a handler call: `frames` to send, or a failure; and its duration in `milliseconds`."""

    milliseconds: int
    route: Route
    frames: tuple[Envelope, ...] = ()
    failure: Failure | None = None
    texts: tuple[str, ...] = ()
    """The payloads of the handler's frames as JSON; none where it created no frame."""

    @property
    def size(self) -> int:
        """About how many bytes the payloads have."""
        return sum(map(len, self.texts))


@cache
def _seconds_of(actor: str) -> Histogram:
    return HANDLER_SECONDS.labels(actor)


class HandlerCall:
    """The call of the handler for one hop. `bundles`: whether mesh accepts several live events in one request."""

    def __init__(self, actor: ActorRuntime, reports: HopReports, *, bundles: bool) -> None:
        self._actor = actor
        self._reports = reports
        envelope = reports.envelope
        self._message = HandlerMessage(envelope)
        self._live = LiveEventsOfCall(actor.client, reports.base, envelope.id, actor.name, bundles=bundles)
        self._invocation = Invocation(actor.handler, self._message, self._live, actor.threads)
        self._call: asyncio.Task[list[Frame]] | None = None

    async def run(self) -> CallOutcome | None:
        """Run the handler; None if another worker took the hop over meanwhile, or the task ended."""
        actor, envelope, reports = self._actor, self._reports.envelope, self._reports
        with actor.span(envelope) as trace:
            started = time.monotonic()
            try:
                if reports.life is Life.SINGLE:
                    async with reports.kept_alive(actor.name):
                        failure, milliseconds = await self._timed(started)
                else:
                    failure, milliseconds = await self._timed(started)
            finally:
                _seconds_of(actor.name).observe(time.monotonic() - started)
                await self._live.abandon()
            if reports.lost.is_set():
                return None
            if failure is not None:
                return CallOutcome(milliseconds, self._message.route, failure=failure)
            made = self._invocation.frames
            frames = tuple(forward(envelope, made, trace))
            return CallOutcome(milliseconds, self._message.route, frames, texts=tuple(frame.text for frame in made))

    async def _timed(self, started: float) -> tuple[Failure | None, int]:
        """The handler's failure, if any, and its duration in milliseconds; returns when its live events were sent."""
        failure = await self._bounded()
        milliseconds = round((time.monotonic() - started) * 1000)
        await self._live.finish()
        return failure, milliseconds

    async def ended(self) -> bool:
        """Whether the handler of a cancelled hop has stopped. A plain function continues in its thread until the
        process ends, and so does a handler that ignores its cancellation. In these cases the claim is left to
        expire."""
        if self._call is None:
            return True
        await asyncio.wait([self._call], timeout=RELEASE_GRACE)
        return self._call.done() and not self._invocation.in_thread

    async def _bounded(self) -> Failure | None:
        """The handler's failure, if any, including its timeout."""
        envelope, lost = self._reports.envelope, self._reports.lost
        allowed, left = self._actor.timeout, self._reports.seconds_left()
        until = time.monotonic() + (allowed if left is None else max(0.0, min(allowed, left)))
        call = asyncio.create_task(self._invocation.run(envelope.payload), name=f"handler-{envelope.id}")
        self._call = call
        try:
            await self._done_lost_or(until, call)
            if lost.is_set() and self._invocation.in_thread:
                await self._outlast(call, until)
            if not call.done():
                await self._stop(call)
                if left is not None and left <= allowed:
                    return overdue(self._actor.name, started=True)
                return timed_out(self._actor.name, allowed)
            await call
        except HandlerFailed as raised:
            return describe(raised.error)
        finally:
            call.cancel()
        return None

    async def _done_lost_or(self, until: float, call: asyncio.Task[list[Frame]]) -> None:
        """Return when the call has ended, the hop is lost, or the time is over."""
        loop = asyncio.get_running_loop()
        reached: asyncio.Future[None] = loop.create_future()

        def reach(_call: asyncio.Task[list[Frame]] | None = None) -> None:
            if not reached.done():
                reached.set_result(None)

        call.add_done_callback(reach)
        self._reports.on_lost(reach)
        timer = loop.call_later(max(0.0, until - time.monotonic()), reach)
        try:
            await reached
        finally:
            timer.cancel()

    async def _outlast(self, call: asyncio.Task[list[Frame]], until: float) -> None:
        """Wait for a thread, which cannot be stopped, although its outcome will not be used."""
        left, longest = max(0.0, until - time.monotonic()), self._actor.cancel_timeout
        left = left if longest is None else min(left, longest)
        log.warning(
            "task %s was canceled or taken over; its handler, a plain function, goes on and holds one place of %s "
            "for up to %.0f s (ASYA_ACTOR_CANCEL_TIMEOUT)",
            self._reports.envelope.id,
            self._actor.name,
            left,
        )
        await asyncio.wait([call], timeout=left)

    async def _stop(self, call: asyncio.Task[list[Frame]]) -> None:
        """Stop a handler that exceeded its time, or find that it cannot be stopped."""
        call.cancel()
        await asyncio.wait([call], timeout=CANCEL_GRACE)
        if not call.done() or not await self._actor.threads.quiet(CANCEL_GRACE):
            why = "its task was canceled or taken over" if self._reports.lost.is_set() else "its timeout"
            log.error("the handler of %s still runs after %s; this process ends to be restarted", self._actor.name, why)
            self._actor.stuck.set()

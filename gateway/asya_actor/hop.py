"""One delivery from receipt to acknowledgement: the order of claim, handler, reports and messages.

received (the claim) → processing → the handler → processed, with the frames → publish → completed → ack. A crash
between any two steps leaves either the message in the queue, or the frames in mesh.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from asya_actor.contract.message import Frame, HandlerMessage
from asya_actor.envelopes import EnvelopeReader
from asya_actor.failures import Failure, broken, describe, overdue, timed_out
from asya_actor.forwarding import (
    HEADER_FIRST_ATTEMPT,
    failed,
    forward,
    put_off,
    redeliveries_of,
    rerouted,
    retried,
)
from asya_actor.handlers.invoking import HandlerFailed, Invocation
from asya_actor.handlers.loading import Handler
from asya_actor.handlers.threads import HandlerThreads
from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.live import LiveLine
from asya_actor.mesh.reporting import HopReports
from asya_actor.mesh.urls import GatewayUrls
from asya_actor.publishing import settle
from asya_actor.resiliency import Attempts, GiveUp, Reroute, Resiliency, Retry
from asya_actor.sending import Onward
from asya_actor.telemetry.about import working_on
from asya_actor.telemetry.metrics import HANDLER_SECONDS
from asya_actor.unreadable import salvage
from asya_crds.envelope import Envelope, InvalidEnvelope, Route, parse_time
from asya_transports.port import MAX_DELIVERIES, Delivery, MessageRefused

log = logging.getLogger(__name__)

BUSY_DELAY = 5.0
"""Seconds until a message is retried whose hop is claimed by another worker."""
LOST_DELAY = 1.0
CANCEL_GRACE = 5.0
"""Seconds that a handler has to end after its cancellation."""
RELEASE_GRACE = 1.0
"""The same when the worker itself is stopping and only its claim depends on it."""

Span = Callable[[Envelope], AbstractContextManager[dict[str, str]]]
"""A span around a handler call; yields the headers with which the next hop continues the trace."""


@dataclass(frozen=True, slots=True)
class ActorRuntime:
    """The parts shared by the calls of one actor.

    Times are in seconds: `timeout` of a call; `cancel_timeout` of a plain function whose task has ended meanwhile
    (None: the rest of its timeout).
    """

    name: str
    handler: Handler
    resiliency: Resiliency
    timeout: float
    threads: HandlerThreads
    client: MeshClient
    reader: EnvelopeReader
    urls: GatewayUrls
    onward: Onward
    span: Span
    cancel_timeout: float | None = None
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a handler continues after its time, so that only the end of the process can stop it."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """The outcome of a handler call: `frames` to send, or a failure; and its duration in `milliseconds`."""

    milliseconds: int
    route: Route
    frames: tuple[Envelope, ...] = ()
    failure: Failure | None = None


class Hop:
    """One delivery. `run` returns its outcome (a word for metrics and logs)."""

    def __init__(self, actor: ActorRuntime, delivery: Delivery) -> None:
        self._actor = actor
        self._delivery = delivery
        self._begun: tuple[Invocation, asyncio.Task[list[Frame]]] | None = None

    async def run(self) -> str:
        """Process the delivery; returns when it is answered. It may be cancelled at any point: the message then stays
        in its queue."""
        try:
            envelope = await self._actor.reader.read(self._delivery.body)
        except InvalidEnvelope as error:
            return await self._unreadable(error)
        with working_on(envelope):
            return await self._run(envelope)

    async def _run(self, envelope: Envelope) -> str:
        actor = self._actor
        reports = HopReports(actor.client, actor.urls.of(envelope.headers), envelope)
        if envelope.route.curr != actor.name:
            where = envelope.route.curr or "nowhere"
            failure = broken("RouteMismatch", f"{actor.name} got a message whose current actor is {where}")
            return await self._fail(reports, failure, "RouteMismatch", claimed=False)
        deaths = redeliveries_of(envelope) + self._delivery.deliveries - 1
        if deaths >= MAX_DELIVERIES:
            failure = broken("WorkerDied", f"{actor.name} died or lost its queue {deaths} times with this message")
            return await self._fail(reports, failure, "WorkerDied", claimed=False)
        claimed, active = await asyncio.gather(reports.received(len(self._delivery.body)), reports.active())
        if claimed.action == "done":
            return await self._repeat(reports, [Envelope.from_dict(frame) for frame in claimed.frames])
        if claimed.action == "busy":
            body = put_off(envelope, deaths).to_json().encode()
            await self._settle(lambda: self._delivery.requeue(body, BUSY_DELAY))
            return "busy"
        if (left := reports.seconds_left()) is not None and left <= 0:
            return await self._fail(reports, overdue(actor.name, started=False), "Timeout")
        if not active:
            await self._settle(self._delivery.ack)
            return "dropped"
        try:
            return await self._work(reports, bundles=claimed.ours)
        except asyncio.CancelledError:
            if claimed.ours and await self._handler_ended():
                await reports.released()
            raise

    async def _handler_ended(self) -> bool:
        """Whether the handler of a cancelled hop has stopped. A plain function continues in its thread until the
        process ends, and so does a handler that ignores its cancellation. In these cases the claim is left to
        expire."""
        if self._begun is None:
            return True
        invocation, call = self._begun
        await asyncio.wait([call], timeout=RELEASE_GRACE)
        return call.done() and not invocation.in_thread

    async def _work(self, reports: HopReports, *, bundles: bool) -> str:
        outcome = await self._call(reports, bundles=bundles)
        if outcome is None:
            return await self._give_up_claim(reports.envelope)
        if outcome.failure is not None:
            return await self._failed(reports, outcome.failure, outcome.route)
        return await self._send_on(reports, list(outcome.frames), outcome.route, outcome.milliseconds)

    async def _call(self, reports: HopReports, *, bundles: bool) -> CallOutcome | None:
        """Run the handler; None if another worker took the hop over meanwhile, or the task ended."""
        actor, envelope = self._actor, reports.envelope
        message = HandlerMessage(envelope)
        live = LiveLine(actor.client, reports.base, envelope.id, actor.name, bundles=bundles)
        invocation = Invocation(actor.handler, message, live, actor.threads)
        with actor.span(envelope) as trace:
            started = time.monotonic()
            try:
                async with reports.alive(actor.name):
                    failure = await self._bounded(invocation, reports)
                    milliseconds = round((time.monotonic() - started) * 1000)
                    await live.finish()
            finally:
                HANDLER_SECONDS.labels(actor.name).observe(time.monotonic() - started)
                await live.abandon()
            if reports.lost.is_set():
                return None
            if failure is not None:
                return CallOutcome(milliseconds, message.route, failure=failure)
            frames = tuple(forward(envelope, invocation.frames, trace))
            return CallOutcome(milliseconds, message.route, frames)

    async def _bounded(self, invocation: Invocation, reports: HopReports) -> Failure | None:
        """The handler's failure, if any, including its timeout."""
        envelope, lost = reports.envelope, reports.lost
        allowed, left = self._actor.timeout, reports.seconds_left()
        until = time.monotonic() + (allowed if left is None else max(0.0, min(allowed, left)))
        call = asyncio.create_task(invocation.run(envelope.payload), name=f"handler-{envelope.id}")
        self._begun = invocation, call
        taken = asyncio.create_task(lost.wait(), name=f"lost-{envelope.id}")
        try:
            await asyncio.wait([call, taken], timeout=until - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            if lost.is_set() and invocation.in_thread:
                await self._outlast(call, envelope, until)
            if not call.done():
                await self._stop(call)
                if left is not None and left <= allowed:
                    return overdue(self._actor.name, started=True)
                return timed_out(self._actor.name, allowed)
            await call
        except HandlerFailed as raised:
            return describe(raised.error)
        finally:
            taken.cancel()
            call.cancel()
        return None

    async def _outlast(self, call: asyncio.Task[list[Frame]], envelope: Envelope, until: float) -> None:
        """Wait for a thread, which cannot be stopped, although its outcome will not be used."""
        left, longest = max(0.0, until - time.monotonic()), self._actor.cancel_timeout
        left = left if longest is None else min(left, longest)
        log.warning(
            "task %s was canceled or taken over; its handler, a plain function, goes on and holds one place of %s "
            "for up to %.0f s (ASYA_ACTOR_CANCEL_TIMEOUT)",
            envelope.id,
            self._actor.name,
            left,
        )
        await asyncio.wait([call], timeout=left)

    async def _stop(self, call: asyncio.Task[list[Frame]]) -> None:
        """Stop a handler that exceeded its time, or find that it cannot be stopped."""
        call.cancel()
        await asyncio.wait([call], timeout=CANCEL_GRACE)
        if not call.done() or not await self._actor.threads.quiet(CANCEL_GRACE):
            log.error(
                "the handler of %s still runs after its timeout; this process ends to be restarted", self._actor.name
            )
            self._actor.stuck.set()

    async def _send_on(self, reports: HopReports, frames: list[Envelope], route: Route, milliseconds: int) -> str:
        envelope = reports.envelope
        if not await reports.processed(frames, route):
            return await self._give_up_claim(envelope)
        paused = await self._actor.onward.send(reports.base, envelope.id, envelope.route, frames)
        await reports.completed(milliseconds, route)
        await self._settle(self._delivery.ack)
        if paused:
            return "paused"
        return "ended" if all(frame.status["phase"] == "succeeded" for frame in frames) else "completed"

    async def _repeat(self, reports: HopReports, frames: list[Envelope]) -> str:
        """The hop was already done: send its stored frames, which may not have been sent, without running the
        handler."""
        if frames:
            await self._actor.onward.send(reports.base, reports.envelope.id, reports.envelope.route, frames)
            if not any(frame.status.get("phase") == "failed" for frame in frames):
                await reports.completed(None, reports.envelope.route)
        await self._settle(self._delivery.ack)
        return "repeated"

    async def _failed(self, reports: HopReports, failure: Failure, route: Route) -> str:
        actor, envelope = self._actor, reports.envelope
        left = reports.seconds_left()
        now = _database_time(envelope, left)
        first_at = _first_attempt(envelope) or now
        deadline = None if left is None else now + timedelta(seconds=left)
        decision = actor.resiliency.decide(failure, Attempts(envelope.attempt, first_at, now, deadline))
        most = actor.resiliency.most_attempts(failure)
        log.warning(
            "attempt %d of %d of %s failed: %s: %s", envelope.attempt, most, envelope.id, failure.type, failure.message
        )
        match decision:
            case Retry(delay):
                body = retried(envelope, first_at, most).to_json().encode()
                try:
                    await self._settle(lambda: self._delivery.requeue(body, delay))
                except MessageRefused as error:
                    return await self._fail(reports, broken("TooLarge", str(error)), "RuntimeError")
                return "retried"
            case Reroute(actors):
                frames = [rerouted(envelope, failure, actors)]
                await self._send_on(reports, frames, route, 0)
                return "rerouted"
            case GiveUp(exhausted):
                reason = "PolicyExhausted" if exhausted else _reason_of(failure)
                return await self._fail(reports, failure, reason, most)

    async def _fail(
        self, reports: HopReports, failure: Failure, reason: str, most_attempts: int = 1, *, claimed: bool = True
    ) -> str:
        """Send the failure to x-sump, whose report ends the task."""
        envelope = reports.envelope
        frame = failed(envelope, failure, self._actor.name, reason=reason, most_attempts=most_attempts)
        if claimed and not await reports.processed([frame], envelope.route):
            return await self._give_up_claim(envelope)
        await self._actor.onward.send(reports.base, envelope.id, envelope.route, [frame])
        await self._settle(self._delivery.ack)
        return "failed"

    async def _give_up_claim(self, envelope: Envelope) -> str:
        """The task has ended, or another worker took over: the frames are not sent. The message is returned, because
        only the next claim can tell whether it is still needed."""
        body = envelope.to_json().encode()
        await self._settle(lambda: self._delivery.requeue(body, LOST_DELAY))
        return "lost"

    async def _unreadable(self, error: InvalidEnvelope) -> str:
        log.error("the queue of %s had a message that is not an envelope: %s", self._actor.name, error)
        envelope = salvage(self._delivery.body)
        await self._actor.onward.fail(envelope, broken("ParseError", str(error)), self._actor.name, "ParseError")
        await self._settle(self._delivery.ack)
        return "failed"

    async def _settle(self, answer: Callable[[], Awaitable[None]]) -> None:
        await settle(answer, f"answering a message of {self._actor.name}")


def _reason_of(failure: Failure) -> str:
    return "Timeout" if failure.type in ("TimeoutError", "DeadlineExceeded") else "RuntimeError"


def _database_time(envelope: Envelope, left: float | None) -> datetime:
    """The current time by the clock that set the task's deadline: `left` seconds before it, as mesh reported. The first
    attempt may have been another worker's, and the clocks of two machines differ. If mesh or the envelope has no
    deadline, it is this machine's time."""
    deadline = envelope.deadline_at
    return datetime.now(UTC) if deadline is None or left is None else deadline - timedelta(seconds=left)


def _first_attempt(envelope: Envelope) -> datetime | None:
    text = envelope.headers.get(HEADER_FIRST_ATTEMPT)
    return parse_time(text) if isinstance(text, str) else None

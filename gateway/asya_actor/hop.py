"""One delivery from receipt to acknowledgement: the order of claim, handler, reports and messages.

With a mesh that takes reports together: begin (the claim) → the handler → end, with which mesh stores and sends
everything. The first hops of a process begin as with other ones, since mesh offers it in its answer. With other ones:
received (the claim) → processing → the handler → processed, with the frames → publish → completed → ack. A crash
between any two steps leaves either the message in the queue, or the frames in mesh.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from asya_actor.calling import HandlerCall
from asya_actor.failures import Failure, broken, overdue
from asya_actor.forwarding import (
    HEADER_FIRST_ATTEMPT,
    failed,
    put_off,
    redeliveries_of,
    rerouted,
    retried,
)
from asya_actor.handing_over import asks, end_of
from asya_actor.mesh.batching import NotOffered
from asya_actor.mesh.client import MeshRefused
from asya_actor.mesh.lives import Batched, Begun
from asya_actor.mesh.reporting import HopReports, Life
from asya_actor.publishing import settle
from asya_actor.resiliency import Attempts, GiveUp, Reroute, Retry
from asya_actor.runtime import ActorRuntime
from asya_actor.slots import Slot
from asya_actor.telemetry.about import work_on
from asya_actor.unreadable import salvage
from asya_crds.envelope import Envelope, InvalidEnvelope, Route, parse_time
from asya_crds.hop_reports import BeginAction, EndOutcome
from asya_transports.port import MAX_DELIVERIES, Delivery, MessageRefused

log = logging.getLogger(__name__)

BUSY_DELAY = 5.0
"""Seconds until a message is retried whose hop is claimed by another worker."""
LOST_DELAY = 1.0


class Hop:
    """One delivery. `run` returns its outcome (a word for metrics and logs)."""

    def __init__(self, actor: ActorRuntime, delivery: Delivery, slot: Slot) -> None:
        self._actor = actor
        self._delivery = delivery
        self._slot = slot
        self._call: HandlerCall | None = None
        self._batched: Batched | None = None
        self._claimed = False
        """Whether it began by single requests, and mesh knows its claim."""

    async def run(self) -> str:
        """Process the delivery; returns when it is answered. It may be cancelled at any point: the message then stays
        in its queue."""
        try:
            envelope = await self._actor.reader.read(self._delivery.body)
        except InvalidEnvelope as error:
            return await self._unreadable(error)
        work_on(envelope)  # a hop has a task of its own
        return await self._run(envelope)

    async def _run(self, envelope: Envelope) -> str:
        actor = self._actor
        reports = HopReports(actor.client, actor.urls.of(envelope.headers), envelope)
        if envelope.route.curr != actor.name:
            where = envelope.route.curr or "nowhere"
            failure = broken("RouteMismatch", f"{actor.name} got a message whose current actor is {where}")
            return await self._fail(reports, failure, "RouteMismatch", claimed=False)
        deaths = redeliveries_of(envelope) + self._delivery.deliveries - 1
        begun = await self._begin(reports)
        if begun.action is BeginAction.DONE:
            return await self._repeat(reports, [Envelope.from_dict(frame) for frame in begun.frames])
        if begun.action is BeginAction.BUSY:
            body = put_off(envelope, deaths).to_json().encode()
            await self._settle(lambda: self._delivery.requeue(body, BUSY_DELAY))
            return "busy"
        if begun.action is BeginAction.DROP:
            await self._settle(self._delivery.ack)
            return "dropped"
        if _overdue(reports):
            return await self._fail(reports, overdue(actor.name, started=False), "Timeout")
        if deaths >= MAX_DELIVERIES:  # judged after the claim: another worker may hold the hop, or have ended it
            failure = broken("WorkerDied", f"{actor.name} died or lost its queue {deaths} times with this message")
            return await self._fail(reports, failure, "WorkerDied")
        if self._batched is not None:
            self._batched.hold(actor.name)
        try:
            return await self._work(reports, bundles=begun.ours)
        except asyncio.CancelledError:
            if begun.ours and (self._call is None or await self._call.ended()):
                if self._batched is not None:
                    await self._batched.let_go_quietly()
                await reports.released()
            raise
        finally:
            if self._batched is not None:
                self._batched.let_go()

    async def _begin(self, reports: HopReports) -> Begun:
        """Claim the hop, by a report of a batch if mesh has offered that, else by single requests."""
        size = len(self._delivery.body)
        batched = self._actor.lines.life_of(reports, self._actor.queues)
        if batched is not None:
            try:
                begun = await batched.begin(size)
            except NotOffered:
                pass
            except MeshRefused as refusal:
                log.error("mesh rejects the beginning of %s: %s", reports.envelope.id, refusal)
            else:
                self._batched = batched
                return begun
        claimed, active = await asyncio.gather(reports.received(size), reports.active())
        self._claimed = claimed.ours
        action = BeginAction(claimed.action)
        if action is BeginAction.GO and not active and not _overdue(reports):
            action = BeginAction.DROP
        return Begun(action, claimed.frames, claimed.ours)

    async def _work(self, reports: HopReports, *, bundles: bool) -> str:
        self._call = HandlerCall(self._actor, reports, bundles=bundles)
        outcome = await self._call.run()
        if not self._actor.stuck.is_set():
            self._slot.free(max(len(self._delivery.body), 0 if outcome is None else outcome.size))
        if outcome is None:
            return await self._give_up_claim(reports.envelope)
        if outcome.failure is not None:
            return await self._failed(reports, outcome.failure, outcome.route)
        return await self._send_on(reports, outcome.frames, outcome.route, outcome.milliseconds, outcome.texts)

    async def _send_on(
        self,
        reports: HopReports,
        frames: Sequence[Envelope],
        route: Route,
        milliseconds: int,
        texts: Sequence[str] = (),
    ) -> str:
        envelope = reports.envelope
        outcome = await self._hand_over(reports, route, frames, texts, milliseconds)
        if outcome is EndOutcome.REFUSED:
            return await self._give_up_claim(envelope)
        if outcome is not EndOutcome.ENDED:
            if not await reports.processed(frames, route):
                return await self._give_up_claim(envelope)
            paused = await self._actor.onward.send(reports.base, envelope.id, envelope.route, frames)
            await reports.completed(milliseconds, route)
            await self._settle(self._delivery.ack)
            if paused:
                return "paused"
        return "ended" if all(frame.status["phase"] == "succeeded" for frame in frames) else "completed"

    async def _hand_over(
        self,
        reports: HopReports,
        route: Route,
        frames: Sequence[Envelope],
        texts: Sequence[str] = (),
        milliseconds: int | None = None,
    ) -> EndOutcome:
        """Let mesh end the hop and send its frames: ENDED, and the delivery is answered; REFUSED if the hop is no
        longer ours; or YOURS if it must be done here."""
        batched = self._ending(reports)
        if batched is None:
            return EndOutcome.YOURS
        if any(asks(frame) for frame in frames):
            batched.let_go()
            return EndOutcome.YOURS
        onward, task_id = self._actor.onward, reports.envelope.id
        end = end_of(
            task_id,
            route,
            frames,
            texts,
            self._delivery,
            milliseconds=milliseconds,
            sink=onward.sink,
            sump=onward.sump,
        )
        outcome = await batched.end(end)
        batched.let_go()  # a sign of life must not follow a report that ends or pauses the hop
        if outcome is EndOutcome.ENDED:
            if not end.ack:
                await self._settle(self._delivery.ack)
            else:
                self._delivery.acknowledged()
        return outcome

    def _ending(self, reports: HopReports) -> Batched | None:
        """How mesh is told of the end together with others. A hop that began by single requests may have brought the
        offer in mesh's answer; it would otherwise announce and send each child of a fan-out by itself."""
        if self._batched is not None:
            return self._batched if reports.life is Life.BATCHED else None
        return self._actor.lines.life_of(reports, self._actor.queues) if self._claimed else None

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
        counted = actor.resiliency.attempt_text(failure, envelope.attempt)
        log.warning("attempt %s of %s failed: %s: %s", counted, envelope.id, failure.type, failure.message)
        match decision:
            case Retry(delay):
                body = retried(envelope, first_at, most).to_json().encode()
                try:
                    await self._settle(lambda: self._delivery.requeue(body, delay))
                except MessageRefused as error:
                    return await self._fail(reports, broken(error.kind, str(error), error.code), "RuntimeError")
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
        if claimed:
            outcome = await self._hand_over(reports, envelope.route, [frame])
            if outcome is EndOutcome.ENDED:
                return "failed"
            if outcome is EndOutcome.REFUSED:
                return await self._give_up_claim(envelope)
            if not await reports.processed([frame], envelope.route):
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


def _overdue(reports: HopReports) -> bool:
    left = reports.seconds_left()
    return left is not None and left <= 0


def _reason_of(failure: Failure) -> str:
    return "Timeout" if failure.type in ("TimeoutError", "DeadlineExceeded") else "RuntimeError"


def _database_time(envelope: Envelope, left: float | None) -> datetime:
    """The current time by the clock that set the task's deadline: `left` seconds before it, as mesh reported. The first
    attempt may have been another worker's, and the clocks of two machines differ. If mesh or the envelope has no
    deadline, it is this machine's time."""
    deadline = envelope.deadline_at
    if deadline is None or left is None:
        return datetime.now(UTC)  # noqa: TID251 # without a deadline there is no other
    return deadline - timedelta(seconds=left)


def _first_attempt(envelope: Envelope) -> datetime | None:
    text = envelope.headers.get(HEADER_FIRST_ATTEMPT)
    return parse_time(text) if isinstance(text, str) else None

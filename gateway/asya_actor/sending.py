"""Sends a hop's frames: announces children, publishes, pauses. Repeating it is harmless."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from asya_actor.failures import Failure, broken
from asya_actor.forwarding import FAILED, destination, failed
from asya_actor.mesh.client import MeshClient, MeshRefused
from asya_actor.pausing import BadPause, pause_report, question_of
from asya_actor.publishing import RetryingPublisher
from asya_crds.envelope import Envelope, Route
from asya_crds.failed_envelope import slim
from asya_crds.naming import PAUSE
from asya_transports.port import OutboundMessage, TransportError

log = logging.getLogger(__name__)

ANNOUNCED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Onward:
    """Sends a process's outgoing envelopes."""

    client: MeshClient
    publisher: RetryingPublisher
    sink: str
    sump: str

    async def send(self, base: str | None, task_id: str, asked_at: Route, frames: Sequence[Envelope]) -> bool:
        """Send all frames of the task's hop `asked_at`; returns True if one of them paused instead.

        Children are sent first, and announced before. The frame that pauses or ends the task itself is sent last,
        because the redelivery of a hop that died in between is dropped once its task has ended or waits.
        """
        children = [frame for frame in frames if frame.id != task_id]
        if base is not None:
            await self._announce(base, children)
        own = [frame for frame in frames if frame.id == task_id]
        asking = [(frame, question) for frame in frames if (question := self._question(frame)) is not None]
        asked = {id(frame) for frame, _ in asking}
        for group in (children, own):
            await self._publish([frame for frame in group if id(frame) not in asked])
        for frame, _ in asking:
            await self.pause(base, frame, asked_at)
        return bool(asking)

    async def pause(self, base: str | None, frame: Envelope, asked_at: Route) -> None:
        """Report the frame's pause. If it cannot be reported, the task fails."""
        try:
            question = question_of(frame)
            if base is None:
                raise BadPause("a pause needs a gateway, and none is configured")
            assert question is not None
            await self.client.progress(base, frame.id, pause_report(frame, asked_at, question))
        except (BadPause, MeshRefused) as error:
            log.error("task %s cannot pause: %s", frame.id, error)
            await self.fail(frame, broken("BadPause", str(error)), asked_at.curr)

    async def fail(self, envelope: Envelope, failure: Failure, actor: str, reason: str = "RuntimeError") -> None:
        """Send an envelope to x-sump."""
        await self._publish([failed(envelope, failure, actor, reason=reason)])

    def _question(self, frame: Envelope) -> object | None:
        if frame.status.get("phase") == FAILED or frame.route.curr == PAUSE:
            return None  # x-pause itself asks the question in the header
        try:
            return question_of(frame)
        except BadPause as error:
            return error  # reported by `pause`

    async def _announce(self, base: str, children: Sequence[Envelope]) -> None:
        for start in range(0, len(children), ANNOUNCED_AT_ONCE):
            await asyncio.gather(*(self._announce_one(base, child) for child in children[start:][:ANNOUNCED_AT_ONCE]))

    async def _announce_one(self, base: str, child: Envelope) -> None:
        body = {"id": child.id, "parent_id": child.parent_id, **child.route.as_dict(), "ends_itself": True}
        try:
            await self.client.announce(base, body)
        except MeshRefused as refusal:
            log.error("mesh rejects the child %s, sending it unannounced: %s", child.id, refusal)

    async def _publish(self, frames: Sequence[Envelope]) -> None:
        if not frames:
            return
        answers = await self.publisher.publish([self._message(frame) for frame in frames])
        for frame, error in zip(frames, answers, strict=True):
            if error is not None:
                await self._undeliverable(frame, error)

    async def _undeliverable(self, frame: Envelope, error: TransportError) -> None:
        """A message that no queue accepts fails its task. A failure that no queue accepts is sent without its
        payload."""
        actor = destination(frame, self.sink, self.sump)
        log.error("%s cannot be sent to %s: %s", frame.id, actor, error)
        if frame.status.get("phase") == FAILED:
            answers = await self.publisher.publish([self._message(slim(frame))])
            if answers[0] is not None:
                log.critical("%s is lost, its failure cannot be sent either: %s", frame.id, answers[0])
            return
        await self.fail(frame, broken(error.kind, f"{actor} cannot be sent to: {error}", error.code), actor)

    def _message(self, frame: Envelope) -> OutboundMessage:
        actor = destination(frame, self.sink, self.sump)
        return OutboundMessage(actor, frame.to_json().encode(), id=frame.id)

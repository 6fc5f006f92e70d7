"""The shared parts of the crew's actors: reading envelopes, and reporting an end until mesh has accepted it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asya_actor.envelopes import EnvelopeReader
from asya_actor.failures import Failure, broken
from asya_actor.mesh.client import MeshClient, MeshRefused
from asya_actor.mesh.urls import GatewayUrls
from asya_actor.publishing import settle
from asya_actor.sending import Onward
from asya_actor.slots import Slot
from asya_actor.telemetry.about import working_on
from asya_crds.envelope import Envelope, InvalidEnvelope, format_time
from asya_crds.mesh_messages import FinalMessage
from asya_crds.naming import HEADER_ORIGIN, check_id
from asya_crds.status import TaskStatus
from asya_transports.port import Delivery

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Crew:
    """The parts that every member uses."""

    client: MeshClient
    urls: GatewayUrls
    onward: Onward

    async def succeeded(self, envelope: Envelope) -> str:
        """Report the payload as the result. If mesh refuses it, the task fails with the reason."""
        base = self.urls.of(envelope.headers)
        if base is None:
            return "dropped"
        task_id = task_of(envelope)
        actor = _last_actor(envelope)
        said = FinalMessage.saying(id=task_id, status=TaskStatus.SUCCEEDED, current_actor_name=actor)
        body = {**_stamped(said), "progress": 1.0, "result": envelope.payload}
        try:
            await self.client.final(base, task_id, body)
        except MeshRefused as refusal:
            kind = "ResultTooLarge" if refusal.too_large else "ResultRefused"
            failure = broken(kind, f"the gateway rejected the result: {refusal.reason}")
            return await self.failed(envelope, failure, actor=actor)
        return "succeeded"

    async def failed(
        self, envelope: Envelope, failure: Failure, *, actor: str | None, attempts: int | None = None
    ) -> str:
        """Report the failure of a task; returns when mesh has answered."""
        base = self.urls.of(envelope.headers)
        if base is None:
            return "dropped"
        task_id = task_of(envelope)
        details = failure.as_dict()
        said = FinalMessage.saying(
            id=task_id,
            status=TaskStatus.FAILED,
            error=failure.message,
            error_details={key: value for key, value in details.items() if key != "class"},
            error_class=failure.error_class,
            current_actor_name=actor or None,
            attempts=attempts,
        )
        try:
            await self.client.final(base, task_id, _stamped(said))
        except MeshRefused as refusal:
            log.error("mesh rejects the failure of %s: %s", task_id, refusal)
            slim = said.model_copy(update={"error": failure.type, "error_details": None, "current_actor_name": None})
            try:
                await self.client.final(base, task_id, slim.as_dict())
            except MeshRefused as again:
                log.critical("mesh rejects every failure of %s: %s", task_id, again)
                return "refused"
        return "failed"


def reading(
    work: Callable[[Envelope], Awaitable[str]], reader: EnvelopeReader
) -> Callable[[Delivery, Slot], Awaitable[str]]:
    """Turn a member's work on envelopes into work on deliveries, which are acknowledged afterwards. A message that is
    not an envelope names no task, so it is logged and dropped."""

    async def handle(delivery: Delivery, _slot: Slot) -> str:
        try:
            envelope = await reader.read(delivery.body)
        except InvalidEnvelope as error:
            log.error(
                "%s: dropping a message that is not an envelope: %s: %.500r", delivery.actor, error, delivery.body
            )
            outcome = "dropped"
        else:
            with working_on(envelope):
                outcome = await work(envelope)
        await settle(delivery.ack, f"acknowledging a message of {delivery.actor}")
        return outcome

    return handle


def task_of(envelope: Envelope) -> str:
    """The task that the envelope ends."""
    return named_by(HEADER_ORIGIN, envelope)


def named_by(header: str, envelope: Envelope) -> str:
    """The id in this header, or the envelope's own id if the header has none."""
    named = envelope.headers.get(header)
    try:
        return envelope.id if named is None else check_id(named)
    except ValueError:
        return envelope.id


def _stamped(said: FinalMessage) -> dict[str, Any]:
    return {**said.as_dict(), "timestamp": format_time(datetime.now(UTC))}  # noqa: TID251 # shown, and compared with nothing


def _last_actor(envelope: Envelope) -> str | None:
    if envelope.route.prev:
        return envelope.route.prev[-1]
    return envelope.route.curr or None

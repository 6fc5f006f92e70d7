"""Envelopes that the queue system refuses: which error their tasks get."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from typing_extensions import override

from asya_actor.crew.errors import failure_of as failure_in
from asya_actor.mesh.client import MeshClient
from asya_actor.publishing import RetryingPublisher
from asya_actor.sending import Onward
from asya_crds.envelope import Envelope
from asya_crds.offloading import Offload
from asya_gateway.delivery.giving_up import failure_of
from asya_gateway.domain.ports import OutboxEntry
from asya_transports.port import (
    MessageRefused,
    MessageTooLarge,
    OutboundMessage,
    TransportError,
    Unroutable,
)
from tests.support.actors import envelope_of

KINDS = pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (MessageRefused("the queue's name is too long"), "MessageRefused", None),
        (MessageTooLarge("the message has 2 bytes"), "TooLarge", "envelope_too_large"),
        (Unroutable("there is no queue"), "Unroutable", None),
        (TransportError("something else"), "DeliveryFailed", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)


def told(failure: Envelope) -> tuple[str, str, str | None, str]:
    """Kind, class, code and message of the error that the crew reports."""
    found = failure_in(failure)
    return found.type, found.error_class, found.code, found.message


@KINDS
async def test_what_mesh_cannot_send_fails_by_what_is_wrong_with_it(
    error: TransportError, kind: str, code: str | None
) -> None:
    envelope = envelope_of("t", ["next"], {})
    entry = OutboxEntry(1, "t", "next", envelope.to_json().encode(), sump="x-sump")
    failure = await failure_of(entry, error, cast("Offload", None))
    assert told(Envelope.from_json(failure.body)) == (kind, "runtime", code, f"next cannot be sent to: {error}")


class Refusing:
    """A transport that refuses what goes to actors, and keeps what goes to x-sump."""

    def __init__(self, error: TransportError) -> None:
        self._error = error
        self.sump: list[OutboundMessage] = []

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        self.sump += [message for message in messages if message.actor == "x-sump"]
        return [None if message.actor == "x-sump" else self._error for message in messages]


class Hurried(RetryingPublisher):
    """Without repetitions."""

    @override
    def _may_come(self, *_: Any) -> bool:
        return False


@KINDS
async def test_what_a_worker_cannot_send_fails_by_what_is_wrong_with_it(
    error: TransportError, kind: str, code: str | None
) -> None:
    transport = Refusing(error)
    onward = Onward(MeshClient(), Hurried(cast("Any", transport), 0.0, frozenset()), "x-sink", "x-sump")
    envelope = envelope_of("t", ["next"], {})
    await onward.send(None, "t", envelope.route, [envelope])
    [sent] = transport.sump
    assert told(Envelope.from_json(sent.body)) == (kind, "runtime", code, f"next cannot be sent to: {error}")

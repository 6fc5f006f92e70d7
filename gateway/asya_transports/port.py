"""The promise every queue system keeps: what gateway, worker and operator may expect of a transport."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

MAX_DELIVERIES = 5
"""Deliveries of one message before it is dead-lettered, where a queue does not say otherwise."""


class TransportError(Exception):
    """A queue system refused or could not be reached; the text says which and why."""


class TransportUnavailable(TransportError):
    """The queue system cannot be reached, or does not do it now: it is away, blocked, or forbids it. The text says
    why; the same call may go through later."""


class Forbidden(TransportUnavailable):
    """The queue system answers, and does not let us declare this: permissions, or its own limits."""


class NotTaken(TransportUnavailable):
    """The queue system answers, and its queue for this actor takes nothing now: it is full, say."""


class LeaseLost(TransportUnavailable):
    """The message is no longer ours: its lease ran out, or the connection that it came by is gone.

    The queue system delivers it again, to us or to somebody else. Repeating the answer is no help.
    """


class Unroutable(TransportError):
    """No queue takes messages for this actor; it must be declared before the same call can succeed."""


class MessageRefused(TransportError):
    """The message itself is at fault (its size, its characters, the actor's name); trying it again is no help.

    Whatever concerns more than this one message is TransportUnavailable.
    """


class OutboundMessage(NamedTuple):
    """One message to publish: `actor` names the queue, `body` is the envelope's JSON as UTF-8."""

    actor: str
    body: bytes
    id: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue to declare. `foreign` ones are consumed by somebody else's sidecar, which checks that its queue
    is there and declares none: they are plain durable ones. Ours count deliveries and dead-letter after
    `max_deliveries`."""

    actor: str
    foreign: bool = False
    max_deliveries: int = MAX_DELIVERIES


class Delivery(Protocol):
    """A received message that is ours until it is acknowledged, given back, or its lease runs out."""

    @property
    def actor(self) -> str:
        """The actor whose queue it came from; of a dead letter, the queue it died in."""

    @property
    def body(self) -> bytes:
        """The envelope's JSON."""

    @property
    def deliveries(self) -> int:
        """How often the message was delivered, this time included; at least 1. Of a dead letter, how often it
        was delivered in the queue it died in."""

    async def ack(self) -> None:
        """Done: the message is gone for good. Raises TransportUnavailable where that could not be made sure, LeaseLost
        where it has become somebody else's."""

    async def nack(self, delay: float = 0.0) -> None:
        """Put it back, to be delivered again after `delay` seconds (by default at once).

        A message that has used up its deliveries goes to the dead letters instead. Raises as `ack`.
        """

    async def requeue(self, body: bytes, delay: float = 0.0) -> None:
        """Replace it by a message with this body, delivered after `delay` seconds, as a fresh message
        (its count of deliveries starts anew). The old one is gone only once the new one is confirmed.
        Raises as `ack`, and MessageRefused for a body that the queue system does not take."""

    async def extend(self) -> None:
        """Renew the lease by a full visibility timeout; a transport without leases does nothing.

        Nobody has to call it: leases are renewed while the message is held. Raises as `ack`.
        """


class Transport(Protocol):
    """One queue system, connected. Every method reconnects by itself and raises TransportUnavailable while it cannot.

    Queue names are derived from the actor: `asya-{namespace}-{actor}` (names.py).
    """

    name: str

    async def check(self) -> None:
        """Returns where the queue system can be reached now; raises TransportUnavailable with the reason where not."""

    async def declare(self, queue: Queue) -> None:
        """Make the actor's queue exist, with its dead-letter queue. What exists is used as it is.

        A queue that vanishes later is declared again by whoever has declared it here and takes deliveries from it;
        a stream that nobody iterates, as while a program ends, declares nothing.

        Raises TransportUnavailable, Forbidden.
        """

    async def delete(self, actor: str) -> None:
        """Remove the actor's queue and what is in it; one that does not exist is no error."""

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        """Publish, and return only when the queue system has confirmed each message or said why not.

        The answers stand in the order of the messages; None is a confirmed one. Nothing is raised for a
        message's own failure, so that one bad queue does not hide what became of the others.
        """

    def receive(self, actor: str, *, prefetch: int = 1) -> AbstractAsyncContextManager[AsyncGenerator[Delivery]]:
        """A never-ending stream of deliveries, at most `prefetch` of them unanswered at a time.

        It waits, and does not end or raise, while the queue system is away or the queue does not exist yet.
        Closing the stream stops taking, and what nobody has seen goes back at once; leaving the context gives back
        what else was not answered.
        """

    def receive_dead_letters(self, *, prefetch: int = 1) -> AbstractAsyncContextManager[AsyncGenerator[Delivery]]:
        """The same for the namespace's dead letters; `Delivery.actor` is the queue it died in."""

    async def depth(self, actor: str) -> int:
        """How many messages wait in the actor's queue (0 where there is none)."""

    async def close(self) -> None:
        """Give back what was taken and disconnect."""

"""The transport interface: what gateway, worker and operator may expect of every queue system."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

MAX_DELIVERIES = 5
"""Default number of deliveries of one message before it is dead-lettered."""


class TransportError(Exception):
    """A queue system refused or could not be reached; the text says which and why. `kind` and `code`: type and code of
    the task's error where this one ends a task; many have no code of their own."""

    kind: ClassVar[str] = "DeliveryFailed"
    code: ClassVar[str | None] = None


class TransportUnavailable(TransportError):
    """The queue system cannot be reached, is blocked, or forbids the operation. The text says why; the same call may
    succeed later."""


class Forbidden(TransportUnavailable):
    """The queue system answers but does not allow this declaration: permissions, or its own limits."""


class NotTaken(TransportUnavailable):
    """The queue system answers but the actor's queue accepts nothing now, for example because it is full."""


class LeaseLost(TransportUnavailable):
    """The message is no longer ours: its lease has expired, or its connection is gone. The queue system delivers it
    again, to us or to another consumer. Repeating the answer does not help.
    """


class Unroutable(TransportError):
    """No queue accepts messages for this actor. It must be declared before the same call can succeed."""

    kind = "Unroutable"


class MessageRefused(TransportError):
    """The message itself is at fault (its size, its characters, the actor's name). Retrying does not help.

    Errors that concern more than this message are TransportUnavailable.
    """

    kind = "MessageRefused"


class MessageTooLarge(MessageRefused):
    """The message has more bytes than the queue system takes."""

    kind = "TooLarge"
    code = "envelope_too_large"


class OutboundMessage(NamedTuple):
    """One message to publish: `actor` names the queue, `body` is the envelope's JSON as UTF-8."""

    actor: str
    body: bytes
    id: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue to declare. A `foreign` queue is consumed by a third-party sidecar, which checks that its queue exists
    but does not declare it; it is a plain durable queue. Our queues count deliveries and dead-letter after
    `max_deliveries`."""

    actor: str
    foreign: bool = False
    max_deliveries: int = MAX_DELIVERIES


class Receipt(NamedTuple):
    """What proves to the queues' database that a message is still held: its number there, and the UUID of its lease."""

    message: int
    receipt: str


class Prefetch:
    """How many messages one receiver may hold unanswered, which may change while it receives."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed: Callable[[], None] = _nothing

    @classmethod
    def of(cls, prefetch: "int | Prefetch") -> "Prefetch":
        """The given one, or one that stays at the given number."""
        return prefetch if isinstance(prefetch, Prefetch) else cls(prefetch)

    @property
    def most(self) -> int:
        """Most messages that are unanswered at a time."""
        return self._most

    def set(self, most: int) -> None:
        """Change it. Lowering it returns messages that were not yielded to the queue, without counting a delivery; what
        was yielded stays."""
        if most != self._most:
            self._most = most
            self._changed()

    def on_change(self, changed: Callable[[], None]) -> None:
        """For the receiver: call this after each change, in place of an earlier receiver's."""
        self._changed = changed


def _nothing() -> None:
    pass


class Delivery(Protocol):
    """A received message. It is ours until it is acknowledged or returned, or its lease expires."""

    @property
    def actor(self) -> str:
        """The actor whose queue it came from; for a dead letter, the queue in which it died."""

    @property
    def body(self) -> bytes:
        """The envelope's JSON."""

    @property
    def deliveries(self) -> int:
        """How often the message was delivered, including this time; at least 1. For a dead letter, how often it was
        delivered in the queue in which it died."""

    @property
    def receipt(self) -> Receipt | None:
        """With it, whoever can write to the queues' database may delete the message in a transaction of its own. None
        where no database holds the queues."""

    def acknowledged(self) -> None:
        """Tell that the message was deleted with its receipt: the lease is not renewed any more. Sends nothing."""

    async def ack(self) -> None:
        """Acknowledge: the message is deleted. Raises TransportUnavailable if that could not be confirmed, LeaseLost if
        it is no longer ours."""

    async def nack(self, delay: float = 0.0) -> None:
        """Return it to the queue, to be delivered again after `delay` seconds (by default at once).

        A message that has used up its deliveries goes to the dead letters instead. Raises what `ack` raises.
        """

    async def requeue(self, body: bytes, delay: float = 0.0) -> None:
        """Replace it by a new message with this body, delivered after `delay` seconds; its count of deliveries
        restarts. The old one is deleted only after the new one is confirmed. Raises what `ack` raises, and
        MessageRefused for a body that the queue system does not accept."""

    async def extend(self) -> None:
        """Renew the lease by a full visibility timeout; without leases it does nothing. Calling it is optional, because
        leases are renewed while the message is held. Raises what `ack` raises.
        """


class Transport(Protocol):
    """One queue system, connected. Every method reconnects by itself and raises TransportUnavailable while it cannot.

    Queue names are derived from the actor: `asya-{namespace}-{actor}` (names.py).
    """

    name: str
    leaves_within: float
    """Seconds, from the moment at which a program is to stop, in which its receivers have left their queues if it holds
    no message any more. What is cut off before may be hidden from others for a lease, and count as delivered."""

    async def check(self) -> None:
        """Return if the queue system can be reached now; raises TransportUnavailable with the reason if not."""

    async def declare(self, queue: Queue) -> None:
        """Declare the actor's queue and its dead-letter queue. Existing queues are used unchanged.

        A queue that vanishes later is declared again by a process that declared it and receives from it. A stream that
        is not iterated, as during a shutdown, declares nothing. Raises TransportUnavailable, Forbidden.
        """

    async def delete(self, actor: str) -> None:
        """Delete the actor's queue and its messages. A missing queue is not an error."""

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        """Publish; returns when the queue system has confirmed each message or refused it with a reason. The answers
        are in the order of the messages; None means confirmed. A message's own failure is not raised, so that one bad
        queue does not hide the results of the others.
        """

    def receive(
        self, actor: str, *, prefetch: int | Prefetch = 1
    ) -> AbstractAsyncContextManager[AsyncGenerator[Delivery]]:
        """A never-ending stream of deliveries, at most `prefetch` of them unanswered at a time.

        While the queue system is unavailable or the queue does not exist yet, it waits without ending or raising.
        Closing the stream stops receiving, and messages that were not yielded are returned at once. Leaving the context
        returns all others that were not answered.
        """

    def receive_dead_letters(
        self, *, prefetch: int | Prefetch = 1
    ) -> AbstractAsyncContextManager[AsyncGenerator[Delivery]]:
        """The same for the namespace's dead letters; `Delivery.actor` is the queue in which the message died."""

    async def address(self, actor: str) -> str:
        """What other programs (autoscalers, consoles) find the actor's queue by: its URL if the queue system has such,
        else its name. Raises Unroutable if that must be asked for and there is no queue, TransportUnavailable."""

    async def depth(self, actor: str) -> int:
        """How many messages wait in the actor's queue (0 if there is no queue). Raises TransportUnavailable; always
        where the queue system does not tell (QueueLimits.depth_known)."""

    async def close(self) -> None:
        """Return unanswered messages and disconnect."""

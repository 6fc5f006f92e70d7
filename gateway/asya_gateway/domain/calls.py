"""A call of a flow, and the deployment's rules for its task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from asya_gateway.domain.backlog import Backlog
from asya_gateway.domain.conversations import NewConversation
from asya_gateway.domain.destinations import Destination
from asya_gateway.domain.errors import TooLarge
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.identity.principals import Asker
from asya_gateway.domain.shared_rates import SharedRates

MOST_BYTES = 6
"""Most bytes of a character in a message: JSON's longest escape of one."""


@dataclass(frozen=True, slots=True)
class TaskRules:
    """The deployment's rules for tasks; times in seconds, sizes in bytes."""

    mesh_url: str
    default_timeout: float = 86_400.0
    max_envelope: int = 128 * 1024 * 1024
    """The largest message that the queue system accepts, less what hops may add to it."""
    bytes_of: Callable[[str], int] = lambda envelope: len(envelope.encode())
    """Bytes of an envelope as the queue system takes it, at most MOST_BYTES for a character."""
    transport: str = "the queue system"
    """Its name, for users."""
    caller_claims: frozenset[str] = frozenset()
    """Claims of a caller that its envelope carries."""
    owner_cap: int | None = None
    """Most open tasks of one owner; None means no cap."""
    flow_cap: int | None = None
    flow_rate: SharedRates | None = None
    """How often a flow may be called."""
    backlog: Backlog | None = None
    """What waits to be delivered; None if calls are accepted however much it is."""

    def check_size(self, envelope: str, field: str) -> None:
        """Refuse an envelope that no queue would accept. Raises TooLarge."""
        most = self.max_envelope
        # Short envelopes need not be encoded to know that they are not too large.
        if len(envelope) * MOST_BYTES > most and self.bytes_of(envelope) > most:
            raise TooLarge(
                f"expected an envelope of at most {most} bytes, payload included: the limit of {self.transport}",
                field=field,
            )


class Call(NamedTuple):
    """A call of a flow. `payload` is what the first actor gets; `check` checks it against the inputSchema.

    `headers` are added to the envelope's (traceparent, tracestate, protocol ids). `key` is the caller's idempotency
    key: it names one task of this owner, even if an answer is lost. `retry_of` is the task that is run again.
    """

    served: ServedFlow
    payload: Any
    caller: Asker
    surface: str
    context_id: str | None = None
    headers: Mapping[str, Any] = MappingProxyType({})
    check: bool = True
    key: str | None = None
    retry_of: str | None = None
    task_id: str | None = None
    """The id of the task, if the payload already names it."""
    said: Any = None
    """What makes two calls of a protocol the same, if it is not the payload."""
    conversation: NewConversation | None = None
    """What A2A keeps beside the task."""
    destination: Destination | None = None
    """Where the task's changes are delivered, from the first one on."""
    live: bool = False
    """Whether its caller follows it at once with its live events, which are kept for it from the first one on."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes two calls the same: the flow and its arguments, without anything sent beside them."""
        if self.retry_of is not None:
            return ("retry", self.retry_of, self.payload)
        return ("call", self.served.flow.name, self.payload if self.said is None else self.said)


class Accepted(NamedTuple):
    """The task of a call. `created_at` is the time of its row, its first entry and its status, if it is known to be the
    call's own; else None."""

    task_id: str
    created_at: datetime | None = None

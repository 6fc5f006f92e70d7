"""A call of a flow, and the deployment's rules for its task."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from asya_gateway.domain.errors import TooLarge
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import Caller


@dataclass(frozen=True, slots=True)
class TaskRules:
    """The deployment's rules for tasks; times in seconds, sizes in bytes."""

    mesh_url: str
    default_timeout: float = 86_400.0
    max_envelope: int = 128 * 1024 * 1024
    """The largest message that the queue system accepts."""
    owner_cap: int | None = None
    """Most open tasks of one owner; None means no cap."""
    flow_cap: int | None = None

    def check_size(self, envelope: str, field: str) -> None:
        """Refuse an envelope that no queue would accept. Raises TooLarge."""
        most = self.max_envelope
        # A character has at most four bytes, so short envelopes need not be encoded to know their size.
        if len(envelope) * 4 > most and len(envelope.encode()) > most:
            raise TooLarge(f"expected an envelope of at most {most} bytes, payload included", field=field)


class Call(NamedTuple):
    """A call of a flow. `payload` is what the first actor gets; `check` checks it against the inputSchema.

    `headers` are added to the envelope's (traceparent, tracestate, protocol ids). `key` is the caller's idempotency
    key: it names one task of this owner, even if an answer is lost. `retry_of` is the task that is run again.
    """

    served: ServedFlow
    payload: Any
    caller: Caller
    surface: str
    context_id: str | None = None
    headers: Mapping[str, Any] = MappingProxyType({})
    check: bool = True
    key: str | None = None
    retry_of: str | None = None

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes two calls the same: the flow and its arguments, without anything sent beside them."""
        if self.retry_of is not None:
            return ("retry", self.retry_of, self.payload)
        return ("call", self.served.flow.name, self.payload)

"""A call of a flow, and what the deployment says about the task that it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from asya_gateway.domain.errors import TooLarge
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.task import Caller


@dataclass(frozen=True, slots=True)
class TaskRules:
    """What the deployment says about tasks; times in seconds, sizes in bytes."""

    mesh_url: str
    default_timeout: float = 86_400.0
    max_envelope: int = 128 * 1024 * 1024
    """The largest message that the queue system takes."""
    owner_cap: int | None = None
    """Most tasks that are open at once of one owner; None is no cap."""
    flow_cap: int | None = None

    def check_size(self, envelope: str, field: str) -> None:
        """Refuse what no queue would take. Raises TooLarge."""
        most = self.max_envelope
        # A character is four bytes at most, so that short envelopes are not encoded for their size.
        if len(envelope) * 4 > most and len(envelope.encode()) > most:
            raise TooLarge(f"expected an envelope of at most {most} bytes, payload included", field=field)


class Call(NamedTuple):
    """A call of a flow. `payload` is what the first actor gets; `check` holds it against the inputSchema.

    `headers` join the envelope's (traceparent, tracestate, protocol ids). `key` is the caller's idempotency key:
    it names one task of this owner, whatever becomes of the answers. `retry_of` is the task that is run again.
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
        """What makes a call the same: the flow and its arguments, and nothing that travels beside them."""
        if self.retry_of is not None:
            return ("retry", self.retry_of, self.payload)
        return ("call", self.served.flow.name, self.payload)

"""What the layers say of traces. This half is what runs while tracing is off; otel.py is the other half."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

SpanName = Literal["submit", "report", "pause", "final", "announce", "answer", "cancel"]


class RequestSpan:
    """The span of a request that is being answered."""

    def answered(self, status: int) -> None:
        """The status is known now."""


_REQUEST: AbstractContextManager[RequestSpan] = nullcontext(RequestSpan())
_NOTHING: AbstractContextManager[None] = nullcontext()


class Spans:
    """Traces nothing; a caller's trace context still travels in the envelope as it came."""

    def request(self, method: str, route: str, headers: Mapping[str, str]) -> AbstractContextManager[RequestSpan]:
        """Around the answer to a request. `headers` are the valid ones of traceparent and tracestate."""
        return _REQUEST

    def verb(self, name: SpanName, task_id: str | None = None, flow: str | None = None) -> AbstractContextManager[None]:
        """Around what the domain does for a request."""
        return _NOTHING

    def outgoing(self) -> dict[str, str]:
        """traceparent and tracestate that continue the current span; empty while tracing is off."""
        return {}

    def publish(self, messages: Iterable[tuple[str, str, bytes]]) -> Callable[[Sequence[object]], None]:
        """A publish of (actor, task id, envelope) begins; the returned function hears its answers (None is a
        confirmed one) in their order."""
        return _forget

    def close(self) -> None:
        """Send what has not been sent. Blocks; never raises."""


def _forget(_answers: Sequence[object]) -> None:
    pass

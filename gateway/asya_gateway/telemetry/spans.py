"""The interface for traces, and its implementation while tracing is off. otel.py has the other one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

SpanName = Literal["submit", "report", "pause", "final", "announce", "answer", "cancel"]


class RequestSpan:
    """Is told how its request was answered."""

    def answered(self, status: int) -> None:
        """Record the response's status."""


_REQUEST: AbstractContextManager[RequestSpan] = nullcontext(RequestSpan())
_NOTHING: AbstractContextManager[None] = nullcontext()


class Spans:
    """Traces nothing. A caller's trace context is still passed on in the envelope unchanged."""

    def request(self, method: str, route: str, headers: Mapping[str, str]) -> AbstractContextManager[RequestSpan]:
        """Wraps the handling of a request. `headers` are traceparent and tracestate if valid."""
        return _REQUEST

    def verb(self, name: SpanName, task_id: str | None = None, flow: str | None = None) -> AbstractContextManager[None]:
        """Wraps a domain operation."""
        return _NOTHING

    def outgoing(self) -> dict[str, str]:
        """traceparent and tracestate that continue the current span; empty while tracing is off."""
        return {}

    def publish(self, messages: Iterable[tuple[str, str, bytes]]) -> Callable[[Sequence[object]], None]:
        """A publish of (actor, task id, envelope) begins. Call the returned function with its answers (None is a
        confirmation) in the same order."""
        return _forget

    def close(self) -> None:
        """Export the remaining spans. Blocks; never raises."""


def _forget(_answers: Sequence[object]) -> None:
    pass

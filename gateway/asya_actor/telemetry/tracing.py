"""Trace context (W3C): passed on unchanged, or with a span for every handler call."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from asya_crds.envelope import Envelope

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

Span = Callable[[Envelope], AbstractContextManager[dict[str, str]]]

MAX_HEADER = 512
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


class TracingUnavailable(Exception):
    """ASYA_OTEL_ENABLED is set and the SDK is not installed."""


def trace_id_of(headers: Mapping[str, Any]) -> str | None:
    """The trace of an envelope's traceparent header, for logs."""
    found = headers.get("traceparent")
    match = _TRACEPARENT.fullmatch(found) if isinstance(found, str) else None
    return match["trace"] if match else None


_CARRIED: ContextVar[dict[str, str] | None] = ContextVar("asya_actor_trace", default=None)


def carry(headers: Mapping[str, Any]) -> None:
    """Requests that the current asyncio task makes from now on have the trace context of these envelope headers."""
    _CARRIED.set(_context_in(headers))


def _context_in(headers: Mapping[str, Any]) -> dict[str, str]:
    if trace_id_of(headers) is None:
        return {}
    return {name: headers[name] for name in ("traceparent", "tracestate") if _sendable(headers.get(name))}


@contextmanager
def carrying(headers: Mapping[str, Any]) -> Iterator[None]:
    """Requests made inside the block have the trace context of these envelope headers."""
    token = _CARRIED.set(_context_in(headers))
    try:
        yield
    finally:
        _CARRIED.reset(token)


def carried() -> dict[str, str]:
    """The trace context for a request made now."""
    return _CARRIED.get() or {}


def _sendable(value: object) -> bool:
    """Whether HTTP can send the value. An actor may have written anything into its envelope's headers."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= MAX_HEADER


def no_span(_envelope: Envelope) -> AbstractContextManager[dict[str, str]]:
    """While tracing is off, the headers of the envelope are the trace context."""
    return nullcontext({})


def spans(actor: str, provider: "TracerProvider | None" = None) -> Span:
    """A span `process <actor>` around every call, as a child of the envelope's trace context; the next hop's parent is
    this span. By default `provider` is the process's, which `export_spans` sets."""
    from opentelemetry import propagate, trace

    tracer = trace.get_tracer("asya_actor", tracer_provider=provider)

    @contextmanager
    def span(envelope: Envelope) -> Iterator[dict[str, str]]:
        # A propagator cannot write again every text that it reads (a lone surrogate in baggage, say).
        texts = {key: value for key, value in envelope.headers.items() if isinstance(value, str) and value.isascii()}
        attributes: dict[str, str | int] = {
            "messaging.system": "asya",
            "messaging.operation.name": "process",
            "messaging.message.id": envelope.id,
            "asya.actor": actor,
            "asya.hop": envelope.route.hop,
            "asya.attempt": envelope.attempt,
        }
        with tracer.start_as_current_span(
            f"process {actor}", propagate.extract(texts), kind=trace.SpanKind.CONSUMER, attributes=attributes
        ):
            onward: dict[str, str] = {}
            propagate.inject(onward)
            yield onward

    return span


def export_spans() -> Callable[[], None]:
    """Export spans by OTLP over HTTP, configured by the OTEL_* variables. Returns a function that flushes and ends it.

    Raises TracingUnavailable.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise TracingUnavailable("ASYA_OTEL_ENABLED needs the extra: pip install 'asya[telemetry]'") from error
    provider = TracerProvider(resource=Resource.create({"service.name": "asya-actor"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown

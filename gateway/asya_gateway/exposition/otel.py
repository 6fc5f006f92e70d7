"""OpenTelemetry spans, with a separate tracer provider. The SDK is imported only if tracing is enabled."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from importlib.metadata import version
from os import environ
from typing import TYPE_CHECKING

from typing_extensions import override

from asya_gateway.telemetry.context import begin, current
from asya_gateway.telemetry.spans import RequestSpan, SpanName, Spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

SERVICE = "asya-gateway"
INSTALL = "ASYA_OTEL_ENABLED is set, and OpenTelemetry's SDK is not installed: pip install 'asya[telemetry]'"

_PARENT = re.compile(rb'"traceparent":\s*"([0-9a-f-]{55})"')
_STATE = re.compile(rb'"tracestate":\s*"([^"\\]*)"')
_PAYLOAD = b'"payload":'
_HEAD = 16 * 1024
"""Leading bytes of an envelope that contain its headers: the gateway writes the payload last."""


class TracingUnavailable(Exception):
    """Traces are enabled but not possible. The text says what to install."""


def open_tracing(pod: str) -> Spans:
    """Spans that go to an OTLP collector over HTTP (OTEL_EXPORTER_OTLP_ENDPOINT and the other OTEL_* variables).

    Raises TracingUnavailable.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingUnavailable(INSTALL) from error
    return OpenTelemetrySpans(BatchSpanProcessor(OTLPSpanExporter()), pod)


class OpenTelemetrySpans(Spans):
    """Spans of requests, of the domain's verbs and of publishes, linked across the queue by the envelope."""

    def __init__(self, processor: "SpanProcessor", pod: str) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = {"service.instance.id": pod, "service.version": version("asya")}
        if "OTEL_SERVICE_NAME" not in environ:
            named["service.name"] = SERVICE
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("asya_gateway")
        self._wire = TraceContextTextMapPropagator()
        self._trace = trace

    @contextmanager
    @override
    def request(self, method: str, route: str, headers: Mapping[str, str]) -> Iterator[RequestSpan]:
        """A server span under the caller's span. From here on, log lines contain its ids."""
        with self._tracer.start_as_current_span(
            f"{method} {route}",
            context=self._wire.extract(dict(headers)),
            kind=self._trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        ) as span:
            _log_under(span)
            yield _RequestSpan(span)

    @contextmanager
    @override
    def verb(self, name: SpanName, task_id: str | None = None, flow: str | None = None) -> Iterator[None]:
        """A span under the current one."""
        known = {"asya.task_id": task_id, "asya.flow": flow}
        with self._tracer.start_as_current_span(
            name, attributes={key: value for key, value in known.items() if value is not None}
        ):
            yield

    @override
    def outgoing(self) -> dict[str, str]:
        """The headers that make the current span the parent of the actors' spans."""
        carrier: dict[str, str] = {}
        self._wire.inject(carrier)
        return carrier

    @override
    def publish(self, messages: Iterable[tuple[str, str, bytes]]) -> Callable[[Sequence[object]], None]:
        """A producer span for each message, under the span named in its envelope."""
        spans = [self._publish_span(actor, task_id, body) for actor, task_id, body in messages]

        def answered(answers: Sequence[object]) -> None:
            for span, answer in zip(spans, answers, strict=True):
                if answer is not None:
                    span.set_status(self._trace.StatusCode.ERROR, str(answer))
                span.end()

        return answered

    def _publish_span(self, actor: str, task_id: str, body: bytes) -> "Span":
        return self._tracer.start_span(
            f"publish {actor}",
            context=self._context_in(body),
            kind=self._trace.SpanKind.PRODUCER,
            attributes={
                "messaging.destination.name": actor,
                "messaging.operation.type": "send",
                "asya.task_id": task_id,
            },
        )

    def _context_in(self, body: bytes) -> "Context":
        """The trace context in an envelope's headers, read without decoding the payload, which may be large."""
        head = body[:_HEAD].partition(_PAYLOAD)[0]
        found = ((name, pattern.search(head)) for name, pattern in (("traceparent", _PARENT), ("tracestate", _STATE)))
        return self._wire.extract({name: match[1].decode() for name, match in found if match is not None})

    @override
    def close(self) -> None:
        """Export the remaining spans. Blocks for at most the exporter's timeout."""
        self._provider.shutdown()


class _RequestSpan(RequestSpan):
    def __init__(self, span: "Span") -> None:
        self._span = span

    @override
    def answered(self, status: int) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("http.response.status_code", status)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._span.set_status(StatusCode.ERROR)


def _log_under(span: "Span") -> None:
    context = span.get_span_context()
    ids = current() or begin()
    ids.trace_id, ids.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"

"""W3C Trace Context from the caller to the envelope and back, without and with OpenTelemetry."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from asya_gateway.composition import observing
from asya_gateway.exposition.otel import OpenTelemetrySpans
from tests.support.telemetry import Watched, ready, start_watched
from tests.support.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"
STATE = "vendor=opaque,other@vendor=1"
NOWHERE: dict[str, Any] = {"transport": "rabbitmq", "rabbitmq_url": "amqp://nobody:nothing@127.0.0.1:9/"}


async def envelope(watched: Watched, task_id: str) -> dict[str, Any]:
    """The envelope that waits in the actor's queue, or in the outbox."""
    database = watched.program.database
    body = await database.fetchval("SELECT body FROM outbox WHERE task_id = $1 ORDER BY id DESC LIMIT 1", task_id)
    if body is None:
        rows = await database.fetch("SELECT body FROM queue_messages ORDER BY id DESC")
        body = next(row["body"].decode() for row in rows if task_id in row["body"].decode())
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.fixture(params=["postgres", "rabbitmq"])
async def untraced(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> AsyncIterator[Watched]:
    changes: dict[str, Any] = NOWHERE if request.param == "rabbitmq" else {}
    async with start_watched(database_url, tmp_path, **changes) as watched:
        await ready(watched)
        yield watched


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What a gateway started after this exports."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(observing, "open_tracing", lambda pod: OpenTelemetrySpans(SimpleSpanProcessor(exporter), pod))
    return exporter


@pytest.fixture
async def traced(spans: InMemorySpanExporter, database_url: str, tmp_path: Path) -> AsyncIterator[Watched]:
    async with start_watched(database_url, tmp_path, otel_enabled=True, **NOWHERE) as watched:
        await ready(watched)
        spans.clear()
        yield watched


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    found = [span for span in exporter.get_finished_spans() if span.name == name]
    assert len(found) == 1, [span.name for span in exporter.get_finished_spans()]
    return found[0]


def traceparent(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def parent_of(span: ReadableSpan) -> str | None:
    parent = span.parent
    return None if parent is None else f"00-{parent.trace_id:032x}-{parent.span_id:016x}-{parent.trace_flags:02x}"


async def test_without_tracing_the_callers_context_reaches_the_envelope_unchanged(untraced: Watched) -> None:
    """Trace Context 3.4: "If the value of the traceparent field wasn't changed before propagation, tracestate MUST
    NOT be modified as well." """
    task_id = await untraced.submit(traceparent=CALLER, tracestate=STATE)
    headers = (await envelope(untraced, task_id))["headers"]
    assert (headers["traceparent"], headers["tracestate"]) == (CALLER, STATE)


async def test_without_a_valid_context_the_envelope_has_none(untraced: Watched) -> None:
    """Trace Context 3.2.2.3: a traceparent whose trace-id is all zeros is invalid and is ignored."""
    for given in ({}, {"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01", "tracestate": STATE}):
        headers = (await envelope(untraced, await untraced.submit(**given)))["headers"]
        assert not {"traceparent", "tracestate"} & headers.keys()


async def test_the_spans_of_a_call_hang_together_from_the_caller_to_the_publish(
    traced: Watched, spans: InMemorySpanExporter
) -> None:
    task_id = await traced.submit(traceparent=CALLER, tracestate=STATE)
    await until(lambda: any(span.name == "publish first" for span in spans.get_finished_spans()))

    request, submit = named(spans, "POST /tools/call"), named(spans, "submit")
    publish = next(span for span in spans.get_finished_spans() if span.name == "publish first")
    assert parent_of(request) == CALLER
    assert parent_of(submit) == traceparent(request)
    assert parent_of(publish) == traceparent(submit)
    assert (request.kind, publish.kind) == (SpanKind.SERVER, SpanKind.PRODUCER)
    assert submit.attributes == {"asya.task_id": task_id, "asya.flow": "anything"}
    # Nobody listens where this broker should be.
    assert publish.status.status_code is StatusCode.ERROR
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/tools/call",
        "http.response.status_code": 200,
    }

    headers = (await envelope(traced, task_id))["headers"]
    assert headers["traceparent"] == traceparent(submit)
    assert headers["tracestate"] == STATE


async def test_an_actors_reports_join_the_trace_that_its_envelope_carried(
    traced: Watched, spans: InMemorySpanExporter
) -> None:
    task_id = await traced.submit(traceparent=CALLER)
    carried = (await envelope(traced, task_id))["headers"]["traceparent"]
    progress = {"prev": [], "curr": "first", "next": [], "status": "received"}
    await traced.send("POST", f"/mesh/{task_id}/progress", progress, traceparent=carried)
    await traced.finish(task_id, traceparent=carried)

    for name, route in (("report", "/mesh/{id}/progress"), ("final", "/mesh/{id}/final")):
        request, verb = named(spans, f"POST {route}"), named(spans, name)
        assert parent_of(request) == carried
        assert parent_of(verb) == traceparent(request)
        assert carried.split("-")[1] == TRACE


async def test_a_call_without_a_context_begins_a_trace(traced: Watched, spans: InMemorySpanExporter) -> None:
    task_id = await traced.submit()
    request, submit = named(spans, "POST /tools/call"), named(spans, "submit")
    assert parent_of(request) is None
    assert (await envelope(traced, task_id))["headers"]["traceparent"] == traceparent(submit)


async def test_an_unsampled_caller_stays_unsampled(traced: Watched, spans: InMemorySpanExporter) -> None:
    """Trace Context 3.2.2.5.1: the sampled flag is passed on."""
    task_id = await traced.submit(traceparent=CALLER[:-1] + "0")
    _, trace_id, _, flags = (await envelope(traced, task_id))["headers"]["traceparent"].split("-")
    assert (trace_id, flags) == (TRACE, "00")
    assert not [span for span in spans.get_finished_spans() if span.name == "submit"]


async def test_requests_of_one_connection_do_not_share_a_trace(traced: Watched, spans: InMemorySpanExporter) -> None:
    first = await envelope(traced, await traced.submit())
    second = await envelope(traced, await traced.submit())
    traces = {each["headers"]["traceparent"].split("-")[1] for each in (first, second)}
    assert len(traces) == 2


def test_a_publish_finds_its_parent_in_the_headers_and_not_in_the_payload() -> None:
    exporter = InMemorySpanExporter()
    spans = OpenTelemetrySpans(SimpleSpanProcessor(exporter), "pod-1")
    with_one = b'{"id":"a","headers":{"traceparent":"%b","x":1},"payload":{}}' % CALLER.encode()
    without = b'{"id":"b","headers":{},"payload":{"traceparent":"%b"}}' % CALLER.encode()
    spans.publish([("first", "a", with_one), ("second", "b", without)])([None, None])

    assert parent_of(named(exporter, "publish first")) == CALLER
    assert parent_of(named(exporter, "publish second")) is None
    assert named(exporter, "publish first").status.status_code is StatusCode.UNSET
    resource = named(exporter, "publish first").resource.attributes
    assert (resource["service.name"], resource["service.instance.id"]) == ("asya-gateway", "pod-1")
    spans.close()

"""A caller's trace through a real worker and the real crew, and back in their reports."""

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asya_actor.telemetry.tracing import carried, carrying
from asya_gateway.composition import observing
from asya_gateway.exposition.otel import OpenTelemetrySpans
from tests.support import handlers
from tests.support.actors import start_mesh

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"


async def test_the_reports_of_worker_and_crew_belong_to_the_callers_trace(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(observing, "open_tracing", lambda pod: OpenTelemetrySpans(SimpleSpanProcessor(exporter), pod))
    handlers.reset()
    # A request with the reports of many hops begins a trace of its own (docs/observability.md).
    async with start_mesh(database_url, otel_enabled=True, life="single") as mesh:
        await mesh.run(mesh.worker("upper", "upper"))
        url, headers = f"{mesh.url}/api/v1/mesh/?actor=upper", {"traceparent": CALLER}
        async with mesh.session.post(url, json={"payload": {"text": "hi"}}, headers=headers) as response:
            task_id = (await response.json())["id"]
        assert (await mesh.ended(task_id))["status"] == "succeeded"

    spans = exporter.get_finished_spans()
    submit = next(span for span in spans if span.name == "submit")
    by_id = {span.context.span_id: span for span in spans}
    verbs = [span for span in spans if span.name in ("report", "final")]
    assert len(verbs) >= 4
    for verb in verbs:
        assert verb.parent is not None
        request = by_id[verb.parent.span_id]
        assert request.parent is not None
        assert f"{verb.context.trace_id:032x}" == TRACE
        assert request.parent.span_id == submit.context.span_id


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"traceparent": CALLER, "tracestate": "a=b", "x": "y"}, {"traceparent": CALLER, "tracestate": "a=b"}),
        ({"traceparent": CALLER, "tracestate": "a=b\r\nX-Evil: 1"}, {"traceparent": CALLER}),
        ({"traceparent": CALLER, "tracestate": ["a"]}, {"traceparent": CALLER}),
        ({"traceparent": CALLER + "-\r\nX-Evil: 1"}, {}),
        ({"traceparent": CALLER + "-" + "a" * 1000}, {}),
        ({"traceparent": 7}, {}),
        ({"tracestate": "a=b"}, {}),
    ],
)
def test_only_what_a_header_can_hold_is_sent_with_reports(headers: dict[str, object], sent: dict[str, str]) -> None:
    assert carried() == {}
    with carrying(headers):
        assert carried() == sent
    assert carried() == {}

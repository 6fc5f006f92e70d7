"""Metrics, probes, logs and traces of the worker."""

import asyncio
import json
import logging
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest

from asya_actor.telemetry.about import working_on
from asya_actor.telemetry.logs import JsonLines, TextLines, log_to_stderr, logging_about
from asya_actor.telemetry.probes import probes
from asya_actor.telemetry.tracing import no_span, spans, trace_id_of
from asya_crds.envelope import Envelope, Route
from asya_transports.known import DESCRIPTIONS

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENVELOPE = Envelope("task", Route((), "a", ()), {}, headers={"traceparent": TRACEPARENT, "x-asya-flow": "greet"})


async def test_probes_answer_and_readiness_follows_the_consumers() -> None:
    ready = [False]
    async with probes("127.0.0.1", 0, lambda: ready[0]) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}"

        async def get(path: str) -> tuple[int, str]:
            async with session.get(url + path) as response:
                return response.status, await response.text()

        assert await get("/health") == (200, "OK")
        assert (await get("/health/ready"))[0] == 503
        ready[0] = True
        assert (await get("/health/ready"))[0] == 200
        status, text = await get("/metrics")
        assert status == 200
        assert "asya_actor_messages_total" in text


async def test_while_a_handler_is_loaded_health_answers_and_says_so() -> None:
    """Loading holds the program's event loop: the test asks from another thread."""
    loading = [True]

    def ask(url: str) -> dict[str, tuple[int, str]]:
        found = {}
        for path in ("/health", "/health?probe=startup", "/health/ready"):
            try:
                with urllib.request.urlopen(url + path, timeout=5) as answer:
                    found[path] = (answer.status, answer.read().decode())
            except urllib.error.HTTPError as error:
                with error:
                    found[path] = (error.code, error.read().decode())
        return found

    async with probes("127.0.0.1", 0, lambda: True, lambda: loading[0]) as port:
        asking = ThreadPoolExecutor(1).submit(ask, f"http://127.0.0.1:{port}")
        assert asking.result(20) == {  # the loop is held meanwhile
            "/health": (200, "loading the handler"),
            "/health?probe=startup": (503, "loading the handler"),
            "/health/ready": (503, "loading the handler"),
        }
        loading[0] = False
        assert set((await asyncio.to_thread(ask, f"http://127.0.0.1:{port}")).values()) == {(200, "OK")}


async def test_an_event_loop_that_is_held_up_counts_as_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asya_actor.telemetry.probes.TURN_WITHIN", 0.2)

    def ask(url: str) -> int:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    async with probes("127.0.0.1", 0, lambda: True) as port:
        url = f"http://127.0.0.1:{port}/health"
        assert ThreadPoolExecutor(1).submit(ask, url).result(20) == 503
        assert await asyncio.to_thread(ask, url) == 200


async def test_a_port_that_is_taken_is_told() -> None:
    async with probes("127.0.0.1", 0, lambda: True) as port:
        assert port is not None
        with pytest.raises(OSError, match=str(port)):
            async with probes("127.0.0.1", port, lambda: True):
                pass


async def test_a_port_of_minus_one_serves_nothing() -> None:
    async with probes("127.0.0.1", -1, lambda: True) as port:
        assert port is None


def test_a_line_is_one_json_object_with_task_flow_actor_and_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    log_to_stderr("info", "json")
    with logging_about(actor="shout"), working_on(ENVELOPE):
        logging.getLogger("mine").info("two\nlines %s", "here")
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "mine",
        "message": "two\nlines here",
        "actor": "shout",
        "task_id": "task",
        "flow": "greet",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }


def test_debug_lines_of_drivers_are_left_out_since_they_contain_messages_and_signatures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    log_to_stderr("debug", "json")
    logging.getLogger("a.handler").debug("its own")
    for each in DESCRIPTIONS.values():
        for driver in each.drivers:
            logging.getLogger(f"{driver}.auth").debug("theirs")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["its own"]


def test_errors_are_in_both_forms_of_a_line() -> None:
    try:
        raise ValueError("told")
    except ValueError as error:
        record = logging.LogRecord(
            "n", logging.ERROR, __file__, 1, "m", None, (type(error), error, error.__traceback__)
        )
    assert "ValueError: told" in json.loads(JsonLines().format(record))["error"]
    assert "ValueError: told" in TextLines().format(record)


def test_a_line_for_a_terminal_does_not_repeat_an_id_that_its_message_says() -> None:
    record = logging.makeLogRecord({"msg": "attempt 1 of t-1 failed", "where": {"actor": "a", "task_id": "t-1"}})
    assert TextLines().format(record).endswith(" a: attempt 1 of t-1 failed")
    record = logging.makeLogRecord({"msg": "it failed", "where": {"actor": "a", "task_id": "t-1"}})
    assert TextLines().format(record).endswith(" a t-1: it failed")


@pytest.mark.parametrize("header", [None, 5, "", "00-xyz", TRACEPARENT.upper()])
def test_an_invalid_traceparent_has_no_trace(header: object) -> None:
    assert trace_id_of({"traceparent": header}) is None


def test_without_tracing_the_context_passes_as_it_came() -> None:
    with no_span(ENVELOPE) as onward:
        assert onward == {}


def test_a_span_continues_the_envelopes_trace() -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with spans("shout", provider)(ENVELOPE) as onward:
        pass
    (span,) = exporter.get_finished_spans()
    assert span.name == "process shout"
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == "b7ad6b7169203331"
    context = span.get_span_context()
    assert context is not None
    assert onward["traceparent"] == f"00-0af7651916cd43dd8448eb211c80319c-{context.span_id:016x}-01"
    provider.shutdown()


@pytest.mark.parametrize("baggage", ["a=\ud800", "\ud800=1", "a=%ff"])
def test_whatever_a_message_has_for_a_trace_context_its_handler_runs(baggage: str) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    with spans("shout", TracerProvider())(ENVELOPE.with_(headers={"baggage": baggage})) as onward:
        assert "traceparent" in onward

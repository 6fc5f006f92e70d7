"""The load generator and the readers against servers that answer by the book."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

import pytest
from aiohttp import web

from bench.load import NOW, Generator, Outcome, Plan, run_load, whole_length
from bench.pgbench import rate_of
from bench.readers import Readers, Reading
from bench.rows import create_statement, create_transaction, envelope, report_statement, report_transaction
from tests.support.waiting import lasts


@contextmanager
def serving(add_routes: Callable[[web.Application], object]) -> Iterator[int]:
    """The port of an application in a thread of its own."""
    listening: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        app, stop = web.Application(), asyncio.Event()
        add_routes(app)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        listening.set_result((runner.addresses[0][1], asyncio.get_running_loop(), stop))
        await stop.wait()
        await runner.cleanup()

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    port, loop, stop = listening.result(10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def test_every_answer_of_200_is_counted_once_and_requests_go_round() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.path + (await request.text()))
        return web.Response(text="x" * len(seen))  # every answer has another length

    with serving(lambda app: app.router.add_post("/{any}", handler)) as port:
        plan = Plan(port, [("/a", "1"), ("/b", "2")], connections=3, seconds=30.0, warm_up=0.0, total=20)
        outcome = Generator(plan).run()
    assert outcome.accepted == outcome.ok == 20
    assert sorted(seen) == ["/a1"] * 10 + ["/b2"] * 10
    assert outcome.problem == ""
    assert 0 < outcome.p50_ms <= outcome.p99_ms


def test_other_answers_are_told_apart_and_spoil_the_run() -> None:
    async def handler(_: web.Request) -> web.Response:
        raise web.HTTPServiceUnavailable

    with serving(lambda app: app.router.add_post("/a", handler)) as port:
        outcome = run_load(Plan(port, [("/a", "{}")], connections=2, seconds=30.0, warm_up=0.0, total=6))
    assert outcome.accepted == 0
    assert outcome.statuses == {"503": 6}
    assert "503" in outcome.problem


def test_a_rate_is_kept_and_bodies_carry_the_moment_of_sending() -> None:
    stamps: list[int] = []

    async def handler(request: web.Request) -> web.Response:
        stamps.append(int((await request.json())["at"]))
        return web.Response()

    with serving(lambda app: app.router.add_post("/a", handler)) as port:
        body = json.dumps({"at": NOW})
        begin = time.monotonic_ns()
        outcome = Generator(Plan(port, [("/a", body)], 2, seconds=0.5, warm_up=0.0, rate=100.0)).run()
    # Never faster than asked; how much slower depends on the machine.
    assert 1 <= outcome.accepted <= 52
    assert all(begin <= stamp <= time.monotonic_ns() for stamp in stamps)


def test_an_answer_is_whole_when_its_body_is() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 5\r\n"
    assert whole_length(head) is None
    assert whole_length(head + b"\r\n") == len(head) + 2 + 5
    assert whole_length(b"HTTP/1.1 200 OK\r\n\r\n") is None


def test_a_rate_is_answers_over_seconds() -> None:
    assert Outcome(ok=50, seconds=2.0).per_second == 25.0
    assert Outcome().per_second == 0.0


def test_readers_count_events_that_arrive_in_pieces() -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        event = f"event: update\ndata: @{time.monotonic_ns():020d}@\n\n".encode()
        pieces = (event[:9], event[9:30], event[30:], b"event: partial\ndata: 1\n\n", event * 3)
        # A length keeps the chunks' own framing out of what is read.
        response = web.StreamResponse(headers={"Content-Length": str(sum(map(len, pieces)))})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        return response

    with (
        serving(lambda app: app.router.add_get("/s", stream)) as port,
        Readers(Reading(port, ["/s"] * 3, "update")) as readers,
    ):
        report = readers.wait()
    assert (report.events, report.fewest, report.most, report.ended) == (12, 4, 4, 3)
    assert len(report.delays_ms) == 12
    assert all(delay >= 0 for delay in report.delays_ms)


def test_readers_report_when_they_are_asked_while_streams_are_open() -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": connected\n\n")
        await lasts(30)
        return response

    with (
        serving(lambda app: app.router.add_get("/s", stream)) as port,
        Readers(Reading(port, ["/s"] * 2, "update")) as readers,
    ):
        assert readers.report().events == 0


REPORT = """\
transaction type: /tmp/x.sql
number of transactions actually processed: 100
number of failed transactions: {failed} ({failed}.000%)
tps = 123.456789 (without initial connection time)
"""


def test_pgbench_counts_only_where_no_transaction_failed() -> None:
    assert rate_of(REPORT.format(failed=0)) == pytest.approx(123.456789)
    with pytest.raises(RuntimeError):
        rate_of(REPORT.format(failed=3))
    with pytest.raises(RuntimeError, match="no such table"):
        rate_of("", "ERROR: no such table")


def test_pgbench_writes_as_many_bytes_as_the_gateway() -> None:
    fresh = json.loads(envelope())
    assert list(fresh) == ["id", "route", "headers", "status", "payload"]
    for outbox in (True, False):
        for script in (create_transaction(outbox=outbox), create_statement(outbox=outbox)):
            assert envelope() in script.sql
            assert ("INTO outbox" in script.sql) is outbox
            assert script.sql.count("INSERT INTO") == 4
    for script in (report_transaction(), report_statement()):
        assert script.sql.count("UPDATE tasks") == script.sql.count("INSERT INTO task_updates") == 1

"""The metrics of a whole gateway over a real Postgres."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from asya_gateway.storage.log.bell_lag import BellLag
from servers.proxy import TcpProxy
from tests.support.telemetry import Watched, ready, start_watched
from tests.support.waiting import until


@pytest.fixture
async def watched(database_url: str, tmp_path: Path) -> AsyncIterator[Watched]:
    async with start_watched(database_url, tmp_path) as started:
        await ready(started)
        yield started


async def test_tasks_are_counted_by_flow_surface_and_status(watched: Watched) -> None:
    await watched.finish(await watched.submit("shout", {"text": "hi"}))
    await watched.finish(await watched.submit("anything"), "failed")
    canceled = await watched.submit("anything")
    await watched.send("POST", f"/tasks/{canceled}/cancel")

    assert await watched.value("asya_tasks_accepted_total", flow="anything", surface="rest") == 2
    assert await watched.value("asya_tasks_accepted_total", flow="shout", surface="rest") == 1
    for flow, status in (("shout", "succeeded"), ("anything", "failed"), ("anything", "canceled")):
        assert await watched.value("asya_tasks_ended_total", flow=flow, surface="rest", status=status) == 1
    assert await watched.value("asya_task_accept_seconds_count", surface="rest") == 3
    assert await watched.value("asya_task_seconds_count", flow="anything") == 2


async def test_a_repeated_final_report_is_counted_once(watched: Watched) -> None:
    task_id = await watched.submit()
    for _ in range(3):
        await watched.finish(task_id)
    assert await watched.value("asya_tasks_ended_total", flow="anything") == 1


async def test_a_refused_call_is_not_counted_as_accepted(watched: Watched) -> None:
    status, _ = await watched.send("POST", "/tools/call", {"name": "shout", "arguments": {"text": 7}})
    assert status == 400
    assert await watched.value("asya_tasks_accepted_total", flow="shout") is None
    assert await watched.value("asya_http_requests_total", route="/tools/call", status="400") == 1


async def test_children_end_as_fan_out_and_leave_the_callers_latency_alone(watched: Watched) -> None:
    parent = await watched.submit()
    body = {"id": "child-1", "parent_id": parent, "prev": [], "curr": "first", "next": []}
    assert (await watched.send("POST", "/mesh", body))[0] == 201
    await watched.finish(parent, "failed")

    await watched.becomes(1, "asya_tasks_ended_total", surface="fan-out")
    assert await watched.value("asya_task_seconds_count", flow="anything") == 1
    assert await watched.value("asya_tasks_accepted_total", flow="anything") == 1


async def test_a_missing_queue_is_counted_and_named_and_the_process_stays_ready(watched: Watched) -> None:
    task_id = await watched.submit()
    await watched.program.database.execute("UPDATE queue_messages SET ready_at = now() - interval '1 minute'")
    await watched.becomes(1, "asya_outbox_unroutable", actor="first")
    reason = "queue asya-default-first is not declared"
    _, told = await watched.send("GET", "/health/flows")
    assert told["unroutable"] == [{"actor": "first", "messages": 1, "reason": reason}]
    assert (await watched.send("GET", "/health/ready"))[0] == 200

    async with watched.session.get(f"{watched.url}/stream/{task_id}") as stream:
        async with asyncio.timeout(20):
            while f"Waiting for the queue of first: {reason}" not in (await stream.content.readline()).decode():
                pass


async def test_calls_beyond_the_bound_are_refused_and_counted(database_url: str, tmp_path: Path) -> None:
    async with start_watched(database_url, tmp_path, outbox_rows_per_actor=2) as full:
        await ready(full)
        for _ in range(2):
            await full.submit()
        await full.becomes(1, "asya_outbox_full", actor="first")
        status, refused = await full.send("POST", "/tools/call", {"name": "anything"}, Accept="application/json")
        assert (status, refused["error"]["code"]) == (503, "overloaded")
        assert await full.value("asya_calls_refused_total") == 1
        await full.program.database.execute("DELETE FROM queue_messages")
        await full.becomes(None, "asya_outbox_full", actor="first")
        await full.submit()


async def test_requests_are_counted_by_template_so_that_callers_cannot_invent_series(watched: Watched) -> None:
    for name, method in (("a", "PROPFIND"), ("b", "MKCOL"), ("c", "LOCK")):
        await watched.send("GET", f"/tasks/{name}")
        await watched.send("GET", f"/no/such/{name}")
        await watched.send(method, "/tools/call")

    assert await watched.value("asya_http_requests_total", route="/tasks/{id}", method="GET", status="404") == 3
    assert await watched.value("asya_http_requests_total", route="unmatched", method="GET", status="404") == 3
    assert await watched.value("asya_http_requests_total", method="other", status="405") == 3
    assert await watched.value("asya_http_request_seconds_count", route="/tasks/{id}", method="GET") == 3


async def test_a_stream_is_open_while_it_is_read_and_its_length_is_no_latency(watched: Watched) -> None:
    task_id = await watched.submit()
    async with watched.session.get(f"{watched.url}/stream/{task_id}") as stream:
        await watched.becomes(1, "asya_streams_open")
        assert await watched.value("asya_followers") == 1
        await watched.finish(task_id)
        await stream.read()
    await watched.becomes(0, "asya_streams_open")
    await watched.becomes(1, "asya_http_requests_total", route="/stream/{id}", method="GET", status="200")
    assert await watched.value("asya_http_request_seconds_count", route="/stream/{id}") == 0


async def test_a_caller_who_goes_away_is_counted_as_499(watched: Watched) -> None:
    request = watched.send("POST", "/tools/call", {"name": "anything"}, Prefer="wait=30")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await request
    await watched.becomes(1, "asya_http_requests_total", route="/tools/call", status="499")


async def test_live_events_are_counted(watched: Watched) -> None:
    task_id = await watched.submit()
    assert (await watched.send("POST", f"/mesh/{task_id}/fly", {"payload": {"text": "hi"}}))[0] == 200
    assert await watched.value("asya_fly_sent_total") == 1


async def test_queues_are_counted_by_actor_declared_or_not(watched: Watched, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("INSERT INTO queues VALUES ('asya-default-idle', 'default', 'idle')")
        await connection.execute("INSERT INTO queue_messages (queue, body) VALUES ('asya-other-first', '{}')")
    finally:
        await connection.close()
    await watched.submit()
    await watched.submit()

    await watched.becomes(2, "asya_queue_messages", actor="first")
    await watched.becomes(0, "asya_queue_messages", actor="idle")
    assert len((await watched.samples())["asya_queue_messages"]) == 2


async def test_envelopes_that_no_broker_takes_show_in_the_outbox(database_url: str, tmp_path: Path) -> None:
    nowhere = "amqp://nobody:nothing@127.0.0.1:9/"
    async with start_watched(database_url, tmp_path, transport="rabbitmq", rabbitmq_url=nowhere) as watched:
        await ready(watched)
        await watched.submit()
        await watched.becomes(1, "asya_outbox_rows")

        async def aged() -> bool:
            return (await watched.value("asya_outbox_oldest_seconds") or 0) > 0.2

        async def refused() -> bool:
            return (await watched.value("asya_dispatcher_refused_total") or 0) >= 1

        await until(aged)
        await until(refused)
        assert await watched.value("asya_dispatcher_published_total") == 0


async def test_an_old_snapshot_shows_until_its_transaction_ends(watched: Watched, database_url: str) -> None:
    other = await asyncpg.connect(database_url)

    async def old() -> bool:
        return (await watched.value("asya_snapshot_oldest_seconds") or 0) > 0.5

    try:
        async with other.transaction(isolation="repeatable_read"):
            await other.fetchval("SELECT count(*) FROM tasks")
            await watched.submit()
            await until(old)
            assert (await watched.value("asya_snapshot_oldest_transactions") or 0) >= 1
        await until(lambda: _not(old))
    finally:
        await other.close()


async def _not(condition: object) -> bool:
    return not await condition()  # type: ignore[operator]


async def test_the_pool_shows_who_uses_it_and_who_waits(watched: Watched) -> None:
    database = watched.program.database
    largest = await watched.value("asya_database_pool_max")
    assert largest == watched.program.settings.db_max_conns
    async with contextlib.AsyncExitStack() as stack:
        for pool in (database.pool, database.hot.pool):
            for _ in range(pool.get_max_size()):
                await stack.enter_async_context(pool.acquire(timeout=5))
        waiter = asyncio.create_task(watched.program.database.fetchval("SELECT 1"))
        await asyncio.sleep(0)

        async def waiting() -> bool:
            return (await watched.value("asya_database_pool_waiting") or 0) >= 1

        await until(waiting)
        assert await watched.value("asya_database_pool_idle") == 0
        assert await watched.value("asya_database_pool_size") == largest
    assert await waiter == 1
    await watched.becomes(0, "asya_database_pool_waiting")


async def test_metrics_survive_a_database_that_goes_away_and_comes_back(database_url: str, tmp_path: Path) -> None:
    proxy, url = await TcpProxy.before(database_url)
    try:
        async with start_watched(url, tmp_path) as watched:
            await ready(watched)
            await watched.becomes(1, "asya_database_up")
            assert await watched.value("asya_outbox_rows") == 0

            proxy.refuse()
            await watched.becomes(0, "asya_database_up")
            for gone in ("asya_outbox_rows", "asya_notification_queue_ratio", "asya_snapshot_oldest_seconds"):
                assert await watched.value(gone) is None
            await watched.becomes(0, "asya_bell_connected")

            async def growing() -> bool:
                return (await watched.value("asya_bell_lag_seconds") or 0) > 0.3

            await until(growing)

            proxy.accept()
            await watched.becomes(1, "asya_database_up")
            await watched.becomes(1, "asya_bell_connected")

            async def heard() -> bool:
                return (await watched.value("asya_bell_lag_seconds") or 9) < 0.3

            await until(heard)
            assert (await watched.value("asya_bell_connects_total") or 0) >= 2
    finally:
        await proxy.close()


async def test_measuring_the_bell_leaves_no_listener_behind(watched: Watched) -> None:
    bell = watched.program.storage.bell
    before = {channel for channel, callbacks in bell._callbacks.items() if callbacks and "ping" not in channel}
    lag = BellLag(bell)
    await lag.measure()
    assert lag.seconds is not None
    assert lag.seconds < 5
    connection = bell._connection
    assert connection is not None

    async def only_the_others() -> bool:
        async with bell._lock:
            rows = await connection.fetch("SELECT pg_listening_channels() AS channel")
        return {row["channel"] for row in rows} - {watched.program.observing._bell_lag._channel} == before

    await until(only_the_others)


async def test_metrics_are_served_while_the_database_is_still_waited_for(tmp_path: Path) -> None:
    async with start_watched("postgresql://nobody@127.0.0.1:9/nowhere", tmp_path, expect_parts=False) as watched:
        assert await watched.value("asya_database_up") == 0
        assert await watched.value("asya_build_info", mode="testing", transport="postgres") == 1
        assert await watched.value("asya_database_pool_size") == 0


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/plain", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text; version=nonsense", "text/plain"),
    ],
)
async def test_the_format_is_the_one_that_the_scraper_asks_for(
    watched: Watched, accept: str, content_type: str
) -> None:
    url = f"http://127.0.0.1:{watched.program.observing.port}/metrics"
    async with watched.session.get(url, headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (200, content_type)
        assert "asya_database_up" in await response.text()


async def test_the_metrics_port_serves_nothing_else_and_the_routes_serve_no_metrics(watched: Watched) -> None:
    async with watched.session.get(f"http://127.0.0.1:{watched.program.observing.port}/tasks") as response:
        assert response.status == 404
    assert (await watched.send("GET", "/metrics"))[0] == 404


async def test_a_call_that_no_queue_would_take_is_refused_and_the_next_is_not(
    database_url: str, tmp_path: Path
) -> None:
    nowhere: dict[str, Any] = {"transport": "rabbitmq", "rabbitmq_host": "127.0.0.1", "rabbitmq_port": 9}
    limit = {**nowhere, "rabbitmq_max_message_bytes": 20_000}
    async with start_watched(database_url, tmp_path, **limit) as watched:
        await ready(watched)
        for size, expected in ((30_000, 413), (10_000, 200)):
            call = {"name": "anything", "arguments": {"text": "x" * size}}
            async with watched.session.post(f"{watched.url}/tools/call", json=call) as answer:
                assert answer.status == expected, await answer.text()
                body = await answer.json()
            if expected == 413:
                assert "at most 18750 bytes, payload included: the limit of rabbitmq" in body["error"]["message"]
        await watched.becomes(0, "asya_transport_up")

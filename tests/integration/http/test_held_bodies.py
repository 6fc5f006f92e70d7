"""Held requests keep no bodies: they read only heads while waiting, and a large body when its entry is rendered."""

import asyncio
import contextlib
import gc
import secrets
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

from asya_crds import jsontext
from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.principals import OPEN
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.task import TaskUpdate
from asya_gateway.protocols.http.keys import HELD, TASKS
from asya_gateway.storage.tasks.store import PostgresTasks
from tests.support.blocks import counted_blocks
from tests.support.gateway import Gateway, start_gateway
from tests.support.gateway import send as post_bytes
from tests.support.mcp import post, stateless_body, stateless_headers
from tests.support.waiting import until

MEGABYTE = 1_000_000
LARGE = "r" * MEGABYTE
PAUSE = {
    "prev": ["first"],
    "curr": "x-pause",
    "next": [],
    "status": "paused",
    "pause_metadata": {"prompt": "Approve?", "fields": [{"name": "ok", "type": "boolean"}]},
}


@contextlib.contextmanager
def grown() -> Iterator[Callable[[], int]]:
    """Bytes by which this process's objects have grown since."""
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]

        def since() -> int:
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before

        yield since
    finally:
        tracemalloc.stop()


@contextlib.asynccontextmanager
async def held(gateway: Gateway, requests: list[Any]) -> AsyncIterator[None]:
    """Run so many requests that wait, until they are all held."""
    running = [asyncio.create_task(each) for each in requests]
    try:
        await until(lambda: gateway.running.storage.feed.followers == len(requests), what="held requests")
        gateway.running.handed.clear()
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_an_open_stream_holds_neither_payload_nor_what_it_has_written(gateway: Gateway) -> None:
    task_id = await gateway.submit("anything", {"text": LARGE})
    report = {"prev": [], "curr": "first", "next": [], "status": "processing", "message": "m" * 900_000}
    assert (await gateway.post(f"/mesh/{task_id}/progress", report))[0] == 200
    gateway.running.handed.clear()
    async with contextlib.AsyncExitStack() as stack:
        with grown() as since:
            for _ in range(15):
                reader = await stack.enter_async_context(gateway.stream(f"/stream/{task_id}"))
                assert [(await reader.next()).id, (await reader.next()).id] == ["1", "2"]  # type: ignore[union-attr]
            assert since() < 6 * MEGABYTE


async def send(gateway: Gateway, path: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send a request by a client that keeps nothing of it, and wait for the answer."""
    host, port = gateway.url.removeprefix("http://").split(":")
    lines = {"Host": host, "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head.encode() + b"\r\n")
        writer.write(body)
        await writer.drain()
        await reader.read()
    finally:
        writer.close()


async def test_a_waiting_call_holds_neither_its_arguments_nor_its_task(gateway: Gateway) -> None:
    body = {"name": "anything", "arguments": {"text": LARGE}}
    message = stateless_body("tools/call", body)
    silent = stateless_headers(message) | {"Accept": "application/json"}
    plain, blocking = jsontext.dumps(body).encode(), jsontext.dumps(message).encode()
    waits = [send(gateway, "/tools/call", plain, {"Prefer": "wait=30"}) for _ in range(8)]
    holds = [send(gateway, "/mcp", blocking, silent) for _ in range(8)]
    with grown() as since:
        async with held(gateway, [*waits, *holds]):
            assert since() < 6 * MEGABYTE


@pytest.mark.parametrize("detail", ["result", "error"])
async def test_a_body_beyond_64_kib_waits_in_the_database_and_comes_with_its_event(
    gateway: Gateway, detail: str
) -> None:
    task_id = await gateway.submit()
    async with (
        gateway.running.storage.feed.subscribe(task_id) as follower,
        gateway.stream(f"/stream/{task_id}") as reader,
    ):
        follower.start(1)
        await reader.next()
        failed = {"status": "failed", "error": "processing_error", "error_details": {"message": "m", "trace": LARGE}}
        end = {"status": "succeeded", "result": LARGE} if detail == "result" else failed
        assert (await gateway.post(f"/mesh/{task_id}/final", {"id": task_id, **end}))[0] == 200
        event = await reader.next()
        [update] = await follower.next(10)
    assert isinstance(update, TaskUpdate)
    assert (update.whole, update.result) == (False, None)
    assert len(update.entry.to_json()) < 1_000
    assert event is not None
    assert LARGE in jsontext.dumps(event.data)


@pytest.mark.parametrize(("size", "whole"), [(64 * 1024 - 2, True), (64 * 1024 - 1, False)])
async def test_64_kib_come_with_the_entry_in_every_way_of_reading_it(gateway: Gateway, size: int, whole: bool) -> None:
    """Repetitive text, which is stored in a fraction of its size: what counts is the text's."""
    task_id = await gateway.submit()
    tasks = gateway.running.tasks
    async with gateway.running.storage.feed.subscribe(task_id) as follower:
        follower.start(1)
        await gateway.finish(task_id, "r" * size)
        [fed] = await follower.next(10)
    snapshot = await tasks.snapshot(task_id, 0, owner=EVERY_OWNER)
    [paged] = (await tasks.updates(task_id, 1)).updates
    found = [fed, snapshot.updates[-1], paged, snapshot.end]
    assert [each.whole for each in found] == [whole] * 4
    assert [len(each.result or "") for each in found] == [size + 2 if whole else 0] * 4
    assert len((await tasks.update(task_id, 2)).result) == size + 2


async def test_a_body_that_cannot_be_fetched_ends_the_stream_before_its_entry(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await gateway.submit()
    await gateway.finish(task_id, LARGE)

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(PostgresTasks, "update", away)
        async with gateway.stream(f"/stream/{task_id}") as reader:
            assert [event.id for event in await reader.all()] == ["1"]
            assert reader.comments[-1] == "the gateway cannot go on now, connect again"
    async with gateway.stream(f"/stream/{task_id}", **{"Last-Event-ID": "1"}) as reader:
        assert [(event.id, event.data["result"]) for event in await reader.all()] == [("2", LARGE)]


async def test_a_large_end_whose_log_was_retired_still_comes(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    await gateway.finish(task_id, LARGE)
    await gateway.running.storage.database.execute("DELETE FROM task_updates")
    async with gateway.stream(f"/stream/{task_id}") as reader:
        assert [(event.id, event.data["result"]) for event in await reader.all()] == [("2", LARGE)]


async def test_nothing_but_reading_a_task_asks_for_its_bodies(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await gateway.submit()

    async def get(*_: object, **__: object) -> None:
        pytest.fail("a body was asked for")

    monkeypatch.setattr(PostgresTasks, "get", get)
    async with gateway.stream(f"/stream/{task_id}") as reader:
        await reader.next()
        assert (await gateway.get(f"/mesh/{task_id}/active"))[0] == 200
        status, _ = await gateway.post("/tools/call", {"name": "anything"}, headers={"Prefer": "wait=1"})
        assert status == 202
        assert len((await gateway.get("/tasks"))[1]["tasks"]) == 2
        assert (await gateway.call("DELETE", f"/api/v1/mesh/{task_id}"))[0] == 204
        assert (await reader.all())[-1].data["status"] == "canceled"


BODY_BLOCKS = 500
"""Blocks of 8 kB of a body of BODY characters, which is stored in pieces."""
BODY = secrets.token_hex(BODY_BLOCKS * 4_000)
"""No compression makes it small."""
WITHOUT_BODIES = 120


async def test_no_statement_of_requests_that_need_no_body_reads_one(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payload and result are large. The checkpoint, of which an answer is a part, is not."""
    body = jsontext.dumps({"name": "anything", "arguments": {"text": BODY}}).encode()
    key = {"Idempotency-Key": "once"}
    called = [await post_bytes(gateway, "/tools/call", body, **each) for each in (key, {}, {})]
    asked, ended = [entry.task_id for entry in gateway.running.handed[1:]]
    final = jsontext.dumps({"status": "succeeded", "result": BODY}).encode()
    assert (await post_bytes(gateway, f"/mesh/{ended}/final", final))[0] == 200
    with counted_blocks(monkeypatch) as blocks:
        async with gateway.stream(f"/stream/{asked}") as reader:
            await reader.next()
            assert (await gateway.post(f"/mesh/{asked}/progress", PAUSE))[0] == 200
            assert (await reader.next()).data["status"] == "paused"  # type: ignore[union-attr]
            # REST answers with the task, so that the answer alone is given here.
            assert (await gateway.app[TASKS].answer(asked, OPEN, {"ok": True})).status is TaskStatus.RUNNING
            for task_id in (asked, ended):
                await gateway.get(f"/mesh/{task_id}/active")
            assert len((await gateway.get("/tasks"))[1]["tasks"]) == 3
            assert await post_bytes(gateway, "/tools/call", body, **key) == called[0]
            assert (await post_bytes(gateway, "/tools/call", body, **key, Prefer="wait=1"))[0] == 202
            assert (await gateway.post(f"/tasks/{ended}/cancel"))[0] == 409
            assert (await gateway.call("DELETE", f"/api/v1/mesh/{asked}"))[0] == 204
            assert (await reader.all())[-1].data["status"] == "canceled"
    blocks.check(WITHOUT_BODIES)
    with counted_blocks(monkeypatch) as reading:
        assert len((await gateway.get(f"/tasks/{ended}"))[1]["result"]) == len(BODY)
    assert reading.most > BODY_BLOCKS


async def test_whatever_is_held_open_counts_against_one_limit_before_anything_is_stored(database_url: str) -> None:
    async with start_gateway(database_url, max_streams=2) as gateway:
        task_id = await gateway.submit()
        call = {"name": "anything"}
        message = stateless_body("tools/call", call)
        for accept in ("application/json", "application/json, text/event-stream"):
            headers = stateless_headers(message) | {"Accept": accept}
            holds = [gateway.post("/tools/call", call, headers={"Prefer": "wait=30"}), post(gateway, message, headers)]
            async with held(gateway, holds):
                stored = await gateway.stored()
                assert len(gateway.app[HELD]) == 2
                assert (await gateway.get(f"/stream/{task_id}"))[0] == 503
                assert (await gateway.post("/tools/call", call, headers={"Prefer": "wait=1"}))[0] == 503
                assert (await post(gateway, message, headers))[0] == 503
                assert await gateway.stored() == stored
                assert (await gateway.post("/tools/call", call))[0] == 200
            await until(lambda: len(gateway.app[HELD]) == 0, what="free slots")

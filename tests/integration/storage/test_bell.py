"""The bell: which process listens to which channel, an unresponsive connection, and a failing NOTIFY."""

import asyncio

import pytest

from asya_gateway.storage.log import bell as bells
from asya_gateway.storage.log import feed, fly
from servers.proxy import TcpProxy
from tests.support.storage import Running, make_storage, progress, succeeded
from tests.support.waiting import until


async def channels(running: Running) -> set[str]:
    """What the listening connection listens to."""
    bell = running.storage.bell
    async with bell._lock:
        assert bell._connection is not None
        rows = await bell._connection.fetch("SELECT pg_listening_channels() AS channel")
    return {row["channel"] for row in rows}


async def test_only_a_process_with_readers_listens_for_live_events(running: Running) -> None:
    """NOTIFY costs once per listener: 14.5k/s with one, 1.2k with fifty (ran)."""
    await until(lambda: running.storage.bell.connected)
    assert await channels(running) == set()
    task_id = await running.create()
    async with running.storage.feed.subscribe(task_id):
        assert await channels(running) == {feed.CHANNEL, fly.CHANNEL}

    async def left() -> bool:
        return fly.CHANNEL not in await channels(running)

    await until(left, what="the last reader's leaving")


async def test_a_listening_connection_that_answers_no_more_is_replaced(
    database_url: str, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The LISTEN connection answers `SELECT 1` every 5 s or is replaced."""
    monkeypatch.setattr(bells, "PROBE_EVERY", 0.2)
    proxy, url = await TcpProxy.before(database_url)
    behind = make_storage(url)
    await behind.storage.start()
    bell = behind.storage.bell
    try:
        await until(lambda: bell.connected)
        before = bell.connects
        proxy.stall()
        await until(lambda: not bell.connected, 10, "the end of the silent connection")
        proxy.flow()
        await until(lambda: bell.connects > before, 10, "a new connection")
        heard = asyncio.Event()
        bell.subscribe("test", lambda _payload: heard.set())
        assert await bell.attended("test")
        running.storage.bell.ring("test", ["x"])
        async with asyncio.timeout(10):
            await heard.wait()
    finally:
        proxy.flow()
        await behind.storage.stop()
        await proxy.close()


async def test_a_notify_that_fails_fails_no_report_and_hides_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing NOTIFY never fails a request."""
    monkeypatch.setattr(bells, "_RING", "SELECT 1 / 0, $1::text[], $2::text[]")
    task_id = await running.create()
    async with running.storage.feed.subscribe(task_id, fly=False) as follower:
        follower.start(1)
        await running.tasks.report(progress(task_id))
        await running.tasks.finish(succeeded(task_id))
        found: list[object] = []
        async with asyncio.timeout(10):
            while len(found) < 2:
                found += await follower.next(1)
    await until(lambda: "bell: cannot ring" in caplog.text, what="a word about it in the log")

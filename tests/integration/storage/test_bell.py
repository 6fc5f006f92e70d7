"""The bell: which process listens to which channel, an unresponsive connection, and a failing NOTIFY."""

import asyncio

import pytest

from asya_gateway.storage.log import bell as bells
from asya_gateway.storage.log import feed, fly
from asya_gateway.storage.sessions.channel import CHANNEL as SESSIONS
from servers.proxy import TcpProxy
from tests.support.storage import Running, make_storage, progress, succeeded
from tests.support.waiting import until


async def channels(running: Running) -> set[str]:
    """What the listening connection listens to, besides the words about sessions, which every process hears."""
    bell = running.storage.bell
    async with bell._lock:
        assert bell._connection is not None
        rows = await bell._connection.fetch("SELECT pg_listening_channels() AS channel")
    return {row["channel"] for row in rows} - {SESSIONS}


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
        # The next one has as long as usual for each answer, which may take longer on a busy machine.
        monkeypatch.undo()
        proxy.flow()
        await until(lambda: bell.connects > before, 20, "a new connection")
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


async def test_a_quiet_ring_waits_for_no_earlier_one(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bells, "RING_APART", 3600)
    bell, held, rung = running.storage.bell, asyncio.Event(), list[str]()

    async def ring(_statement: str, _channels: list[str], payloads: list[str]) -> None:
        rung.extend(payloads)
        if payloads == ["first"]:
            await held.wait()

    monkeypatch.setattr(bell._database, "execute", ring)
    for each in ("first", "second", "third"):
        bell.ring("test", [each])
        await until(lambda each=each: each in rung, what=f"the {each} ring")  # type: ignore[misc]
    assert not held.is_set()
    held.set()


async def test_a_busy_bell_combines_rings(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, rung = asyncio.Event(), list[str]()
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        await (pauses.wait() if seconds == bells.RING_APART else pause(seconds))

    async def ring(_statement: str, _channels: list[str], payloads: list[str]) -> None:
        rung.extend(payloads)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(running.storage.bell._database, "execute", ring)
    many = [f"t{number}" for number in range(bells.BUSY)]
    running.storage.bell.ring("test", many)
    await until(lambda: bool(rung), what="the first ring")
    for each in ("a", "b"):
        running.storage.bell.ring("test", [each])
        await pause(0)
    assert rung == ["\n".join(many)]
    pauses.set()
    await until(lambda: len(rung) > 1, what="the second ring")
    assert rung[1:] == ["a\nb"]


async def test_slow_rings_begin_as_far_apart_as_they_take_until_one_is_quick_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hundreds of listeners each takes long, and would keep the sessions that tasks need."""
    bell, pause = running.storage.bell, asyncio.sleep
    under_way, most, takes, rung, rested = 0, 0, 0.03, list[str](), list[float]()

    async def ring(_statement: str, _channels: list[str], payloads: list[str]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await pause(takes)
        under_way -= 1
        rung.extend("\n".join(payloads).split("\n"))

    async def sleep(seconds: float) -> None:
        rested.append(seconds)
        await pause(seconds)

    monkeypatch.setattr(bell._database, "execute", ring)
    bell.ring("test", ["slow"])
    await until(lambda: rung == ["slow"], what="a ring that shows how long one takes")
    monkeypatch.setattr(asyncio, "sleep", sleep)
    most = 0
    names = [f"t{number}" for number in range(40)]
    for name in names:
        bell.ring("test", [name])
        await pause(0.005)
    await until(lambda: rung == ["slow", *names], what="everything that was rung, in order")
    assert most <= 2
    assert any(takes <= each <= bells.LONGEST_APART for each in rested)
    takes = 0.0
    for name in ("quick", "next"):
        bell.ring("test", [name])
        await until(lambda name=name: name in rung)  # type: ignore[misc]
    assert bell._slow == 0.0


async def test_what_nobody_waits_for_goes_with_the_next_ring_or_a_little_later(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each task that goes on would otherwise cost a statement, and so would its end."""
    bell, rung = running.storage.bell, list[list[str]]()

    async def ring(_statement: str, _channels: list[str], payloads: list[str]) -> None:
        rung.append(payloads)

    monkeypatch.setattr(bell._database, "execute", ring)
    monkeypatch.setattr(bells, "RING_APART", 3600)
    bell.ring("test", ["a"], "goes on", unhurried=True)
    await until(lambda: rung == [["goes on\na"]], what="the first, at once")
    bell.ring("test", ["b"], "goes on", unhurried=True)
    await asyncio.sleep(0)
    bell.ring("test", ["a"], "ended")
    await until(lambda: len(rung) == 2, what="the end, at once")
    assert rung[1] == ["goes on\nb", "ended\na"]
    assert bell._patient is not None
    bell._patient.cancel()
    bell._patience_ends()
    monkeypatch.setattr(bells, "RING_APART", 0.001)
    for each in ("c", "d"):
        bell.ring("test", [each], "goes on", unhurried=True)
        await asyncio.sleep(0)
    await until(lambda: [text for each in rung[2:] for text in each] == ["goes on\nc", "goes on\nd"], what="the last")


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

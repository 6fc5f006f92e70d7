"""Readers that stop reading or go away, live events that are large, reports that come twice and late."""

import asyncio
import json
import re
import socket
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from servers.ports import free_port
from tests.faults.world import World
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(600)


async def post(world: World, path: str, body: object) -> int:
    async with world.session.post(world.processes["mesh"].url + path, json=body) as response:
        return response.status


async def test_a_live_event_of_100_kb_and_many_small_ones_reach_readers_of_another_process(embedded: World) -> None:
    task_id = await embedded.call("api", first_waits_for=str(embedded.gate), tokens=200, big_event=100_000)
    assert task_id is not None
    reader = embedded.follow(task_id)
    await until(lambda: reader.seqs, what="the reader's first update")
    embedded.gate.touch()
    await embedded.audit()
    tokens = [event["token"] for event in reader.live if "token" in event]
    assert tokens == [f"t{number}" for number in range(200)]
    [big] = [event for event in reader.live if "text" in event]
    assert big["text"] == "x" * 100_000


async def test_150_events_cross_from_one_process_to_the_other_150_times(embedded: World) -> None:
    task_id = await embedded.call("api", first_waits_for=str(embedded.gate))
    assert task_id is not None
    reader = embedded.follow(task_id)
    await until(lambda: reader.seqs, what="the reader's first update")
    for number in range(150):
        assert await post(embedded, f"/mesh/{task_id}/fly", {"payload": {"token": number}}) == 200
    embedded.gate.touch()
    await embedded.audit()
    assert [event["token"] for event in reader.live] == list(range(150))


async def test_finals_twice_and_out_of_order_end_the_task_once_and_late_progress_moves_nothing(world: World) -> None:
    task_id = await world.call("api", first_waits_for=str(world.gate))
    assert task_id is not None
    reader = world.follow(task_id)
    await until(lambda: reader.seqs, what="the reader's first update")
    failed = {"id": task_id, "status": "failed", "error": "it broke"}
    succeeded = {"id": task_id, "status": "succeeded", "result": {"late": True}}
    statuses = await asyncio.gather(
        *(post(world, f"/mesh/{task_id}/final", body) for body in (failed, succeeded, failed, succeeded))
    )
    assert statuses == [200] * 4
    late = {"prev": [], "curr": "first", "next": ["second"], "status": "processing"}
    assert await post(world, f"/mesh/{task_id}/progress", late) == 200
    world.gate.touch()
    await world.settled()
    rows = await world.query("SELECT status FROM tasks WHERE id = $1", task_id)
    assert reader.final is not None
    assert reader.final["status"] == rows[0]["status"]
    await world.audit(statuses=("succeeded", "failed"))


async def test_readers_that_connect_while_the_task_ends_see_the_end(world: World) -> None:
    """Every few milliseconds until well after it: what is missed in one of a hundred cases shows in 1,600."""
    for _ in range(40):
        task_id = await world.call("api")
        assert task_id is not None
        for number in range(20):
            for process in ("api", "api2"):
                world.follow(task_id, process)
            await lasts(0.002 * number)
    await world.audit()
    assert len(world.readers) == 1_600


async def test_a_reader_that_stops_reading_is_disconnected_and_delays_no_others(embedded: World) -> None:
    embedded.processes["api2"].end()
    metrics_port = free_port()
    more = {"ASYA_STREAM_WRITE_TIMEOUT": "2s", "ASYA_METRICS_PORT": str(metrics_port)}
    embedded.processes["api2"].environment.update(more)
    embedded.processes["api2"].start()
    await embedded.ready("api2")
    task_id = await embedded.call("api", first_waits_for=str(embedded.gate))
    assert task_id is not None
    address = urlsplit(embedded.processes["api2"].url)
    stuck = socket.create_connection((address.hostname or "", address.port or 0))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.sendall(f"GET /stream/{task_id} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    reader = embedded.follow(task_id)
    await until(lambda: reader.seqs, what="the reader's first update")
    for number in range(60):
        await post(embedded, f"/mesh/{task_id}/fly", {"payload": {"n": number, "text": "y" * 200_000}})
    await until(lambda: len(reader.live) == 60, 30, "every event at the reader that reads")

    async def one_stream_left() -> bool:
        async with embedded.session.get(f"http://127.0.0.1:{metrics_port}/metrics") as response:
            return "asya_streams_open 1.0" in (await response.text()).splitlines()

    with stuck:
        await until(one_stream_left, 30, "the end of the reader that does not read")
    embedded.gate.touch()
    await embedded.settled()


async def test_a_reader_that_stops_reading_costs_little_memory_and_misses_no_update(embedded: World) -> None:
    """Fifty megabytes of updates and as much of live events arrive while it takes nothing."""
    embedded.processes["api2"].end()
    embedded.processes["api2"].environment["ASYA_STREAM_WRITE_TIMEOUT"] = "5m"
    embedded.processes["api2"].start()
    await embedded.ready("api2")
    task_id = await embedded.call("api", first_waits_for=str(embedded.gate))
    assert task_id is not None
    address = urlsplit(embedded.processes["api2"].url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as stuck:
        request = f"GET /stream/{task_id} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        stuck.sendall(request.encode())
        began = resident(embedded, "api2")
        report = {"prev": [], "curr": "first", "next": ["second"], "status": "processing", "message": "m" * 700_000}
        for _ in range(70):
            assert await post(embedded, f"/mesh/{task_id}/progress", report) == 200
            assert await post(embedded, f"/mesh/{task_id}/fly", {"payload": {"text": "x" * 700_000}}) == 200
        # What waits is at most 4 MiB of each kind, twice, and is held as text and as bytes for a moment.
        assert resident(embedded, "api2") - began < 45_000_000
        embedded.gate.touch()
        stuck.settimeout(60)
        received = await asyncio.to_thread(read_to_end, stuck)
    await embedded.audit()
    seqs = [int(seq) for seq in re.findall(rb"\nid: (\d+)\n", received)]
    assert seqs == list(range(1, seqs[-1] + 1))
    assert seqs[-1] >= 72
    assert b'"status":"succeeded"' in received


def resident(world: World, process: str) -> int:
    """Bytes of memory that a process holds."""
    running = world.processes[process].running
    assert running is not None
    return int(psutil.Process(running.pid).memory_info().rss)


def read_to_end(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = bytearray()
    while data := connection.recv(1_000_000):
        received += data
    return bytes(received)


async def test_callers_that_go_away_in_the_middle_leave_no_half_written_task(world: World) -> None:
    url = world.processes["api"].url + "/tools/call"

    async def impatient(number: int) -> None:
        body = {"name": "work", "arguments": {"n": 100_000 + number}}
        try:
            async with asyncio.timeout(0.002 * (number % 10)):
                async with world.session.post(url, json=body) as response:
                    answer = await response.json()
                    world.accepted[json.loads(answer["content"][0]["text"])["task_id"]] = number
        except (TimeoutError, aiohttp.ClientError):
            pass

    await asyncio.gather(*(impatient(number) for number in range(300)), world.load(2))
    await world.audit()
    orphans = await world.query_value(
        "SELECT count(*) FROM tasks t WHERE NOT EXISTS (SELECT FROM task_bodies b WHERE b.task_id = t.id)"
    )
    assert orphans == 0

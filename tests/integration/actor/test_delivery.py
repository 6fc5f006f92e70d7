"""At least once on the queue, once in the handler: duplicates, crashes, outages of mesh and queues."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asya_actor.app import EXIT_STUCK
from asya_actor.publishing import RetryingPublisher
from asya_actor.telemetry.metrics import MESSAGES, REPORT_RETRIES
from asya_gateway.domain.identity.principals import MESH
from asya_transports.port import MAX_DELIVERIES, OutboundMessage, TransportError, TransportUnavailable
from servers.forking import Process, start
from tests.support.actors import Mesh, declare, envelope_of, start_mesh
from tests.support.handlers import CALLS, GATE
from tests.support.lives import EITHER, SINGLE
from tests.support.waiting import until


@asynccontextmanager
async def worker_process(mesh: Mesh, database_url: str, log: Path, handler: str = "append") -> AsyncIterator[Process]:
    """An actor `append` in a process of its own; it writes a line into `log` for every call and then waits while
    the file `<log>.hold` exists."""
    environment = os.environ | {
        "ASYA_ACTOR_NAME": "append",
        "ASYA_HANDLER": f"tests.support.slow_handlers.{handler}",
        "ASYA_GATEWAY_URL": mesh.url,
        "ASYA_DATABASE_URL": database_url,
        "ASYA_METRICS_PORT": "-1",
        "TEST_LOG": str(log),
    }
    process = start("tests.integration.actor.worker_process", env=environment)
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait, 20)


async def held(mesh: Mesh, actor: str) -> int:
    """Messages of the queue, those in work and delayed ones too."""
    query = "SELECT count(*) FROM queue_messages WHERE queue = $1"
    return int(await mesh.gateway.database.fetchval(query, f"asya-default-{actor}"))


@EITHER
async def test_every_message_delivered_twice_runs_no_finished_hop_again(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("upper", "upper"), mesh.worker("exclaim", "exclaim"))
    task_id = await mesh.submit(["unserved"], {})
    twice = [envelope_of(task_id, ["upper", "exclaim"], {"text": "hi"})] * 2
    body = twice[0].to_json().encode()
    assert await mesh.transport.publish([OutboundMessage("upper", body), OutboundMessage("upper", body)]) == [
        None,
        None,
    ]
    task = await mesh.ended(task_id)
    assert task["result"] == {"text": "HI!"}

    async def empty() -> bool:
        return await held(mesh, "upper") == 0

    await until(empty)
    assert [name for name, _ in CALLS] == ["upper", "exclaim"]
    assert [kind for kind, _ in await mesh.updates(task_id)].count("final") == 1


@EITHER
async def test_a_duplicate_of_a_hop_in_work_waits_and_is_dropped_once_that_is_done(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`busy`: put back with a delay. `done`: ack without running."""
    monkeypatch.setattr("asya_actor.hop.BUSY_DELAY", 0.2)
    await mesh.run(mesh.worker("gated", "gated", actor_concurrency=2))
    task_id = await mesh.submit(["unserved"], {})
    envelope = envelope_of(task_id, ["gated"], {"a": 1})
    await mesh.publish(envelope)
    await until(lambda: CALLS)
    await mesh.publish(envelope)

    async def put_back() -> bool:
        return bool(
            await mesh.gateway.database.fetchval(
                "SELECT count(*) FROM queue_messages WHERE queue LIKE '%-gated' AND receipt IS NULL "
                "AND position('redeliveries' IN convert_from(body, 'UTF8')) > 0"
            )
        )

    await until(put_back)
    GATE.set()
    assert (await mesh.ended(task_id))["result"] == {"a": 1}

    async def empty() -> bool:
        return await held(mesh, "gated") == 0

    await until(empty)
    assert len(CALLS) == 1


async def test_a_killed_worker_loses_nothing_and_its_message_runs_again_after_the_claim(
    database_url: str, tmp_path: Path
) -> None:
    log, hold = tmp_path / "calls", tmp_path / "calls.hold"
    hold.touch()
    async with start_mesh(database_url, claim_lease=2) as mesh:
        await mesh.run()
        task_id = await mesh.submit(["append"], {"a": 1})
        async with worker_process(mesh, database_url, log) as first:
            await until(log.exists, 20, "the first call")
            first.kill()
            await asyncio.to_thread(first.wait, 20)
        await mesh.gateway.database.execute("UPDATE queue_messages SET ready_at = now()")
        hold.unlink()
        async with worker_process(mesh, database_url, log):
            task = await mesh.ended(task_id, 40)
    assert (task["status"], task["result"]) == ("succeeded", {"a": 1})
    assert log.read_text().splitlines() == ["call", "call"]


@pytest.mark.parametrize("handler", ["append", "append_blocking"])
async def test_a_handler_slower_than_the_claim_keeps_it_even_where_it_blocks_the_event_loop(
    database_url: str, tmp_path: Path, handler: str
) -> None:
    log, hold = tmp_path / "calls", tmp_path / "calls.hold"
    hold.touch()
    async with start_mesh(database_url, claim_lease=1) as mesh:
        await mesh.run()
        task_id = await mesh.submit(["unserved"], {})
        envelope = envelope_of(task_id, ["append"], {"a": 1})
        async with worker_process(mesh, database_url, log, handler):
            await declare(mesh, "append")
            await mesh.publish(envelope)
            await until(log.exists, 20, "the first call")
            async with worker_process(mesh, database_url, log, handler):
                await mesh.publish(envelope)

                async def refused_for_longer_than_a_lease() -> bool:
                    query = "SELECT max(lease_until) > max(created_at) + interval '4 s' FROM task_hops, tasks"
                    later = await mesh.gateway.database.fetchval(query)
                    query = "SELECT count(*) FROM queue_messages WHERE queue LIKE '%-append' AND receipt IS NULL"
                    return bool(later and await mesh.gateway.database.fetchval(query) == 1)

                await until(refused_for_longer_than_a_lease, 30)
                hold.unlink()
                assert (await mesh.ended(task_id))["result"] == {"a": 1}

                async def empty() -> bool:
                    return await held(mesh, "append") == 0

                await until(empty)
    assert log.read_text().splitlines() == ["call"]


async def test_a_message_that_kills_its_workers_finally_fails_its_task(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["unserved"], {})
    envelope = envelope_of(task_id, ["echo"], {})
    await mesh.publish(envelope.with_(status={**envelope.status, "redeliveries": 5}))
    task = await mesh.ended(task_id)
    assert (task["error"]["class"], task["error"]["details"]["type"]) == ("runtime", "WorkerDied")
    assert CALLS == []


@EITHER
async def test_a_message_that_was_counted_out_fails_no_hop_that_a_worker_holds(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of it, put off as often as its connections broke, while another worker does the work."""
    monkeypatch.setattr("asya_actor.hop.BUSY_DELAY", 0.2)
    task_id = await mesh.submit(["unserved"], {})
    envelope = envelope_of(task_id, ["echo"], {})
    claim = {"hop": "0", "attempt": 1, "claimant": "another"}
    said = {**envelope.route.as_dict(), "claim": claim}
    assert (await mesh.post(f"/mesh/{task_id}/progress", {**said, "status": "received"}))[0] == 200
    await mesh.run(mesh.worker("echo", "echo"))
    busy = MESSAGES.labels("echo", "busy")._value
    before = busy.get()
    await mesh.publish(envelope.with_(status={**envelope.status, "redeliveries": MAX_DELIVERIES}))
    await until(lambda: busy.get() > before + 1, what="the second time that it is put off")
    assert (await mesh.post(f"/mesh/{task_id}/progress", {**said, "status": "completed"}))[0] == 200

    async def gone() -> bool:
        return await held(mesh, "echo") == 0

    await until(gone, what="the copy that is done")
    assert (await mesh.task(task_id))["status"] == "running"
    assert CALLS == []


@pytest.mark.parametrize("life", ["single", "batched"])
async def test_mesh_away_for_longer_than_every_delivery_costs_no_attempt(database_url: str, life: str) -> None:
    """A fault test holds mesh down for longer than the delivery limit times the backoff."""
    async with start_mesh(database_url, visibility_timeout=0.5, life=life) as mesh:
        await mesh.run(mesh.worker("gated", "gated"))
        task_id = await mesh.submit(["gated"], {"a": 1})
        await until(lambda: CALLS)
        await mesh.stop_serving()
        GATE.set()
        retries = REPORT_RETRIES._value.get()
        started = time.monotonic()
        await until(lambda: time.monotonic() - started > MAX_DELIVERIES * 0.5 + 1)
        assert REPORT_RETRIES._value.get() > retries
        await mesh.serve_again()
        task = await mesh.ended(task_id, 30)
        assert (task["status"], task["result"]) == ("succeeded", {"a": 1})
        assert [kind for kind, _ in await mesh.updates(task_id)].count("final") == 1
        assert len(CALLS) == 1


@EITHER
async def test_a_worker_that_is_stopped_gives_back_what_it_could_not_finish(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("gated", "gated_async", actor_shutdown_timeout=0.1))
    task_id = await mesh.submit(["gated"], {"a": 1})
    await until(lambda: CALLS)
    await mesh.stop()
    assert await mesh.gateway.database.fetchval("SELECT count(*) FROM queue_messages WHERE receipt IS NULL") == 1
    assert (await mesh.task(task_id))["status"] == "running"


@EITHER
async def test_a_hop_that_a_stopped_worker_gave_back_runs_again_at_once(mesh: Mesh) -> None:
    """Its claim, which would hold for a minute here, is given back with the message."""
    await mesh.run(mesh.worker("gated", "gated_async", actor_shutdown_timeout=0.1))
    task_id = await mesh.submit(["gated"], {"a": 1})
    await until(lambda: CALLS)
    await mesh.stop()
    updates = await mesh.updates(task_id)
    GATE.set()
    await mesh.run(mesh.worker("gated", "gated_async"))
    assert (await mesh.ended(task_id, 4))["result"] == {"a": 1}
    assert len(CALLS) == 2
    assert (await mesh.updates(task_id))[: len(updates)] == updates
    assert "released" not in [detail.get("task_state") for _, detail in await mesh.updates(task_id)]


@EITHER
async def test_stops_of_its_workers_are_no_deaths_and_the_log_says_how_many(
    mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that outlives the time of each of its workers ends by its deadline, not by being counted out."""
    task_id = await mesh.submit(["gated"], {"a": 1})
    stops = MAX_DELIVERIES + 1
    for number in range(stops):
        await mesh.run(mesh.worker("gated", "gated_async", actor_shutdown_timeout=0.05), crew=number == 0)
        await until(lambda: len(CALLS) == number + 1)  # noqa: B023 # waited for in this turn
        await mesh.stop()
    told = [record.getMessage() for record in caplog.records if "returns task" in record.getMessage()]
    assert [f"{number} times" in line for number, line in enumerate(told, 1)] == [True] * stops
    GATE.set()
    await mesh.run(mesh.worker("gated", "gated_async"))
    assert (await mesh.ended(task_id))["result"] == {"a": 1}


@EITHER
async def test_a_handler_that_outlives_each_of_its_workers_ends_by_its_deadline(mesh: Mesh) -> None:
    task_id = await mesh.submit(["gated"], {"a": 1}, timeout=2)
    for number in range(2):
        await mesh.run(mesh.worker("gated", "gated_async", actor_shutdown_timeout=0.05), crew=False)
        await until(lambda: len(CALLS) == number + 1)  # noqa: B023 # waited for in this turn
        await mesh.stop()
    error = (await mesh.ended(task_id, 15))["error"]
    assert (error["code"], error["class"]) == ("deadline_exceeded", "deadline")
    await mesh.run(mesh.worker("gated", "gated_async"), crew=False)
    queued = "SELECT count(*) FROM queue_messages"
    await until(lambda: mesh.gateway.database.fetchval(f"SELECT ({queued}) = 0"), what="the message that is dropped")
    assert len(CALLS) == 2


@EITHER
async def test_the_claim_of_a_function_that_continues_in_its_thread_is_kept(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("gated", "gated", actor_shutdown_timeout=0.1))
    await mesh.submit(["gated"], {"a": 1})
    await until(lambda: CALLS)
    await mesh.stop()
    assert await mesh.gateway.database.fetchval("SELECT lease_until > now() + interval '5 s' FROM task_hops")


@EITHER
async def test_a_worker_that_is_stopped_finishes_what_it_has_begun(mesh: Mesh) -> None:
    await declare(mesh, "x-sink")
    await mesh.run(mesh.worker("gated", "gated_async"), crew=False)
    task_id = await mesh.submit(["gated"], {"a": 1})
    await until(lambda: CALLS)
    stopping = asyncio.create_task(mesh.stop())
    await asyncio.sleep(0)
    GATE.set()
    await stopping
    await mesh.run()
    assert (await mesh.ended(task_id))["result"] == {"a": 1}
    assert len(CALLS) == 1


async def test_messages_are_worked_on_side_by_side_up_to_the_concurrency(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("gated", "gated", actor_concurrency=2))
    tasks = [await mesh.submit(["gated"], {"n": number}) for number in range(3)]
    await until(lambda: len(CALLS) == 2)

    async def third_waits() -> bool:
        return await mesh.transport.depth("gated") == 1

    await until(third_waits)
    assert len(CALLS) == 2
    GATE.set()
    for task_id in tasks:
        assert (await mesh.ended(task_id))["status"] == "succeeded"


@SINGLE
async def test_a_hop_that_died_between_storing_and_sending_sends_on_without_running_again(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`done`: ack without running, and send on what was stored if the hop never reported completed."""
    held_up, publish = asyncio.Event(), RetryingPublisher.publish

    async def hold(self: RetryingPublisher, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        held_up.set()
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(RetryingPublisher, "publish", hold)
    await mesh.run(mesh.worker("split", "split", actor_shutdown_timeout=0.1), crew=False)
    task_id = await mesh.submit(["split"], {"parts": 3})
    async with asyncio.timeout(20):
        await held_up.wait()
    await mesh.stop()
    children = await mesh.children(task_id)
    monkeypatch.setattr(RetryingPublisher, "publish", publish)
    await mesh.run(mesh.worker("split", "split"))
    assert (await mesh.ended(task_id))["result"] == {"part": 0}
    assert sorted([(await mesh.ended(child))["result"]["part"] for child in children]) == [1, 2]
    assert await mesh.children(task_id) == children
    assert len(CALLS) == 1


@pytest.mark.parametrize("life", ["single", "batched"])
@pytest.mark.parametrize("handler", ["never", "gated"])
async def test_a_task_that_is_canceled_during_the_work_sends_nothing_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch, handler: str, life: str
) -> None:
    async with start_mesh(database_url, claim_lease=1, life=life) as mesh:
        await canceled_during_the_work(mesh, monkeypatch, handler)


async def canceled_during_the_work(mesh: Mesh, monkeypatch: pytest.MonkeyPatch, handler: str) -> None:
    monkeypatch.setattr("asya_actor.hop.LOST_DELAY", 0.0)
    running = await mesh.run(mesh.worker("work", handler), mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["work", "echo"], {})
    await until(lambda: CALLS)
    await mesh.gateway.tasks.cancel(task_id, MESH)
    lost = MESSAGES.labels("work", "lost")
    before = lost._value.get()
    if handler == "gated":
        GATE.set()
    await until(lambda: lost._value.get() > before)

    async def empty() -> bool:
        return await held(mesh, "work") == 0

    await until(empty)
    assert [name for name, _ in CALLS] == [handler]
    assert not running.done()


async def test_a_function_that_outlives_its_canceled_task_ends_the_process_where_a_setting_says_so(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asya_actor.calling.CANCEL_GRACE", 0.1)
    async with start_mesh(database_url, claim_lease=1) as mesh:
        running = await mesh.run(mesh.worker("work", "gated", actor_cancel_timeout="100ms"))
        task_id = await mesh.submit(["work"], {})
        await until(lambda: CALLS)
        await mesh.gateway.tasks.cancel(task_id, MESH)
        assert await asyncio.wait_for(running, 20) == EXIT_STUCK
        GATE.set()
    assert f"task {task_id} was canceled or taken over; its handler, a plain function, goes on" in caplog.text
    assert "the handler of work still runs after its task was canceled or taken over; this process ends" in caplog.text


@SINGLE  # with reports of batches, mesh sends the envelopes
async def test_a_queue_system_that_is_away_costs_no_attempt(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    publish, left = mesh.transport.publish, [3]

    async def away(messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        if left[0] and messages[0].actor == "x-sink":
            left[0] -= 1
            return [TransportUnavailable("away")] * len(messages)
        return await publish(messages)

    monkeypatch.setattr(mesh.transport, "publish", away)
    await mesh.run(mesh.worker("echo", "echo"))
    assert (await mesh.ended(await mesh.submit(["echo"], {"a": 1})))["result"] == {"a": 1}
    assert left == [0]
    assert len(CALLS) == 1

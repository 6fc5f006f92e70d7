"""Ends whose envelopes exceed one report."""

import asyncio
import time
from typing import Any

from asya_actor.mesh.batching import Line, ReportLine
from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.lives import queues_text
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from tests.support.actors import OFFER, Mesh, declare
from tests.support.lives import BATCHED
from tests.support.waiting import until

pytestmark = BATCHED
QUEUES = queues_text(
    transport="postgres", namespace="default", place="", sink="x-sink", sump="x-sump", unroutable_seconds=30
)


def report(kind: str, task_id: str, **more: Any) -> str:
    claim = {"hop": "0", "attempt": 1, "claimant": f"worker-of-{task_id}"}
    found = {"kind": kind, "id": task_id, "prev": [], "curr": "unserved", "next": [], "claim": claim, **more}
    return jsontext.dumps(found)


async def timed_begin(line: ReportLine, task_id: str) -> float:
    """Seconds for which this process, which has worker and mesh, worked on anything while the begin was under way. Time
    without a core is not counted, because it only shows how busy the machine is."""
    wall, used = time.monotonic(), time.process_time()
    assert (await line.submit(report("begin", task_id)))["action"] == "go"
    return min(time.monotonic() - wall, time.process_time() - used)


async def test_a_thousand_children_are_announced_and_sent_once_each(mesh: Mesh) -> None:
    await declare(mesh, "echo", "x-sink")
    await mesh.run(mesh.worker("split", "split"))
    task_id = await mesh.submit(["split", "echo"], {"parts": 1000})

    async def all_sent() -> bool:
        return await mesh.transport.depth("echo") == 1000

    await until(all_sent, 60, "a thousand messages")
    assert len(await mesh.children(task_id)) == 999
    assert await mesh.gateway.database.fetchval("SELECT count(*) FROM hop_parts") == 0
    bodies = await mesh.gateway.database.fetch(
        "SELECT convert_from(body, 'UTF8') AS body FROM queue_messages WHERE queue LIKE '%-echo'"
    )
    envelopes = [Envelope.from_json(row["body"]) for row in bodies]
    assert sorted(envelope.payload["part"] for envelope in envelopes) == list(range(1000))
    assert {envelope.id for envelope in envelopes} == {task_id, *await mesh.children(task_id)}


async def test_fifty_mebibytes_are_handed_over_in_parts(mesh: Mesh) -> None:
    await declare(mesh, "echo")
    await mesh.run(mesh.worker("wide", "fifty_mebibytes"), crew=False)
    task_id = await mesh.submit(["wide", "echo"], {})

    async def all_sent() -> bool:
        return await mesh.transport.depth("echo") == 10

    await until(all_sent, 120, "ten messages")
    size = await mesh.gateway.database.fetchval("SELECT sum(length(body)) FROM queue_messages")
    assert size > 50 * 1024 * 1024
    assert len(await mesh.children(task_id)) == 9


async def test_a_beginning_does_not_wait_for_a_large_end_beside_it(mesh: Mesh) -> None:
    """The end of 10 MiB and the beginnings share a line, as in one worker."""
    await declare(mesh, "echo")
    client = MeshClient(offers={mesh.url: OFFER})
    line = ReportLine(client, Line(mesh.url, QUEUES))
    large, *others = [await mesh.submit(["unserved"], {}) for _ in range(31)]
    try:
        assert (await line.submit(report("begin", large)))["action"] == "go"
        await line.submit(report("begin", others.pop()))
        envelope = Envelope(large, Route(("unserved",), "echo", ()), "x" * (10 * 1024 * 1024))
        head, payload = envelope.to_texts()
        send = {"to": "echo", "id": large, "head": head, "payload": payload}
        ending = asyncio.create_task(line.submit(report("end", large, sends=[send]), rows=2))
        took = []
        while not ending.done() and others:
            took.append(await timed_begin(line, others.pop()))
        assert (await ending)["outcome"] in ("ended", "yours")
        # They were answered while the end was under way, and within 50 ms each. The one that was sent with it may have
        # waited until its 10 MiB were written here and read there, since both programs are in this process.
        *usual, _ = sorted(took)
        assert usual
        assert max(usual) < 0.05, took
    finally:
        await line.close()
        await client.close()

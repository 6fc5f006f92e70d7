"""Ends whose envelopes exceed one report."""

from asya_crds.envelope import Envelope
from tests.support.actors import Mesh, declare
from tests.support.lives import BATCHED
from tests.support.waiting import until

pytestmark = BATCHED


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

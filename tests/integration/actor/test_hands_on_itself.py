"""Where mesh does not end a hop, its worker does it as before."""

import json

from asya_transports.port import OutboundMessage
from tests.support.actors import Mesh, envelope_of
from tests.support.handlers import CALLS, GATE
from tests.support.lives import BATCHED
from tests.support.waiting import until

pytestmark = BATCHED


async def test_the_envelopes_of_an_unknown_id_arrive(mesh: Mesh) -> None:
    """Another gateway's task, or none's."""
    await mesh.run(mesh.worker("upper", "upper"), mesh.worker("echo", "echo"), mesh.worker("split", "split"))
    await mesh.publish(envelope_of("never-created", ["upper", "echo"], {"text": "a"}))
    await mesh.publish(envelope_of("never-created-either", ["split", "echo"], {"parts": 2}))
    await until(lambda: len([1 for name, _ in CALLS if name == "echo"]) == 3, 20, "every message at the last actor")
    payloads = sorted(json.dumps(payload) for name, payload in CALLS if name == "echo")
    assert payloads == ['{"part": 0}', '{"part": 1}', '{"text": "A"}']
    assert await mesh.gateway.database.fetchval("SELECT count(*) FROM task_hops") == 0


async def test_a_worker_of_another_namespace_sends_on_itself(mesh: Mesh) -> None:
    """Its claim is taken and its entries are written; only its envelopes are not for mesh's queues. It sends before it
    reports the hop completed, so the next one may begin earlier, but here does not end."""
    await mesh.run(mesh.worker("upper", "upper", namespace="elsewhere"), mesh.worker("gated", "gated_async"))
    task_id = await mesh.submit(["upper", "gated"], {"text": "a"})

    async def said() -> list[str]:
        return [detail["task_state"] for kind, detail in await mesh.updates(task_id) if kind == "progress"]

    async def completed() -> bool:
        return "completed" in await said()

    await until(completed, 20, "the report of the first hop")
    GATE.set()
    assert (await mesh.ended(task_id))["result"] == {"text": "A"}
    told = await said()
    assert (told[:2], sorted(told)) == (["received", "processing"], sorted(["received", "processing", "completed"] * 2))
    assert [name for name, _ in CALLS] == ["upper", "gated_async"]


async def test_a_message_whose_lease_was_lost_is_not_ended_by_mesh_and_runs_once(mesh: Mesh) -> None:
    """Its receipt is not found, so the worker stores the frames, sends them and cannot acknowledge; the message comes
    again and its hop is done."""
    await mesh.run(mesh.worker("gated", "gated_async"))
    task_id = await mesh.submit(["gated"], {"a": 1})
    await until(lambda: CALLS, 20, "the call")
    await mesh.gateway.database.execute(
        "UPDATE queue_messages SET receipt = gen_random_uuid() WHERE queue LIKE '%gated'"
    )
    GATE.set()
    assert (await mesh.ended(task_id))["result"] == {"a": 1}
    assert len(CALLS) == 1


async def test_without_a_gateway_messages_are_passed_on(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("upper", "upper", gateway_url=""), mesh.worker("echo", "echo", gateway_url=""))
    body = envelope_of("alone", ["upper", "echo"], {"text": "a"}).to_json().encode()
    assert await mesh.transport.publish([OutboundMessage("upper", body)]) == [None]
    await until(lambda: len(CALLS) == 2, 20, "both calls")

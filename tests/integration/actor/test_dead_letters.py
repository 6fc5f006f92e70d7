"""Dead letters: the crew sends those again that nobody has worked on, and the others fail their tasks."""

from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from asya_actor.crew.dead_letters import MOST_SENT_AGAIN
from asya_crds.envelope import Envelope
from asya_crds.naming import SINK
from asya_transports.port import MAX_DELIVERIES, OutboundMessage, Queue
from tests.support.actors import Mesh, envelope_of, start_mesh
from tests.support.handlers import CALLS
from tests.support.waiting import until

DEATHS = 2


@pytest.fixture
async def mesh(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Mesh]:
    """On `postgres`, or with the indirect parameter `rabbitmq` on RabbitMQ."""
    if getattr(request, "param", "postgres") == "postgres":
        async with start_mesh(database_url) as made:
            yield made
        return
    url = request.getfixturevalue("rabbitmq_vhost_url")
    async with start_mesh(database_url, transport="rabbitmq", rabbitmq_url=url) as made:
        yield made


BOTH = pytest.mark.parametrize("mesh", ["postgres", "rabbitmq"], indirect=True)


async def dies(mesh: Mesh, actor: str) -> None:
    """The next message of this actor becomes a dead letter, and no handler has seen it."""
    async with mesh.transport.receive(actor) as stream:
        for _ in range(DEATHS):
            await (await anext(stream)).nack()


async def called(mesh: Mesh, actor: str = "echo") -> tuple[str, Envelope]:
    """A task and its first message, which is in the queue of this actor."""
    await mesh.transport.declare(Queue(actor, max_deliveries=DEATHS))
    task_id = await mesh.submit(["unserved"], {})
    envelope = envelope_of(task_id, [actor], {"a": 1})
    await mesh.publish(envelope)
    return task_id, envelope


async def reports(mesh: Mesh, task_id: str, *states: str, claim: dict[str, Any] | None = None) -> None:
    route = {"prev": [], "curr": "echo", "next": []}
    for state in states:
        said = {**route, "status": state} | ({} if claim is None else {"claim": claim})
        assert (await mesh.post(f"/mesh/{task_id}/progress", said))[0] == 200


CLAIM = {"hop": "0", "attempt": 1, "claimant": "dead"}


@BOTH
async def test_a_dead_letter_that_no_worker_began_is_sent_to_its_actor_again(mesh: Mesh) -> None:
    task_id, _ = await called(mesh)
    await dies(mesh, "echo")
    await mesh.run(mesh.worker("echo", "echo"))
    assert (await mesh.ended(task_id))["result"] == {"a": 1}
    assert len(CALLS) == 1
    assert [kind for kind, _ in await mesh.updates(task_id)].count("final") == 1


@pytest.mark.parametrize("mesh", ["rabbitmq"], indirect=True)
async def test_a_message_that_went_through_connections_which_all_broke_is_sent_to_its_actor_again(
    mesh: Mesh, rabbitmq_vhost_url: str
) -> None:
    """The broker itself dead-letters it, by the limit of its quorum queue."""
    await mesh.transport.declare(Queue("echo"))
    task_id = await mesh.submit(["unserved"], {})
    await mesh.publish(envelope_of(task_id, ["echo"], {"a": 1}))
    for _ in range(MAX_DELIVERIES):
        async with await aio_pika.connect(rabbitmq_vhost_url) as connection, connection.channel() as channel:
            queue = await channel.get_queue("asya-default-echo")
            assert await queue.get(timeout=10) is not None
    assert await mesh.transport.depth("echo") == 0
    await mesh.run(mesh.worker("echo", "echo"))
    assert (await mesh.ended(task_id))["result"] == {"a": 1}
    assert len(CALLS) == 1


@BOTH
async def test_a_dead_letter_whose_hop_was_begun_fails_its_task_naming_the_actor_and_the_deliveries(mesh: Mesh) -> None:
    """A dead letter is reported `failed`, class `runtime`, naming actor and attempts."""
    task_id, _ = await called(mesh)
    await reports(mesh, task_id, "received", "released", claim=CLAIM)
    await dies(mesh, "echo")
    await mesh.run(mesh.worker("echo", "echo"))
    error = (await mesh.ended(task_id))["error"]
    assert (error["class"], error["actor"], error["attempts"]) == ("runtime", "echo", DEATHS)
    assert error["details"]["type"] == "DeadLetter"
    assert CALLS == []


async def test_a_dead_letter_of_which_a_sidecar_without_claims_reported_fails_its_task(mesh: Mesh) -> None:
    task_id, _ = await called(mesh)
    await reports(mesh, task_id, "received")
    await dies(mesh, "echo")
    await mesh.run(mesh.worker("echo", "echo"))
    assert (await mesh.ended(task_id))["error"]["details"]["type"] == "DeadLetter"


async def test_a_message_that_dies_again_and_again_before_anybody_begins_fails_its_task(mesh: Mesh) -> None:
    task_id, _ = await called(mesh)
    await mesh.run()
    for _ in range(MOST_SENT_AGAIN + 1):
        await dies(mesh, "echo")
    error = (await mesh.ended(task_id))["error"]
    assert (error["details"]["type"], error["attempts"]) == ("DeadLetter", DEATHS)
    assert await mesh.transport.depth("echo") == 0


async def test_a_dead_letter_read_again_after_it_was_sent_fails_nothing(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its crew died before the acknowledgement: the copy that it had sent runs, and has run."""
    monkeypatch.setattr("asya_actor.crew.dead_letters.HELD_DELAY", 0.2)
    task_id, _ = await called(mesh)
    await reports(mesh, task_id, "received", claim=CLAIM)
    await dies(mesh, "echo")
    await mesh.run()

    async def looked_at_twice() -> bool:
        query = "SELECT count(*) FROM queue_messages WHERE queue LIKE '%-dlq' AND deliveries > 1"
        return bool(await mesh.gateway.database.fetchval(query))

    await until(looked_at_twice, what="a dead letter that waits for the end of its hop")
    assert (await mesh.task(task_id))["status"] == "running"
    await reports(mesh, task_id, "completed", claim=CLAIM)

    async def gone() -> bool:
        query = "SELECT count(*) = 0 FROM queue_messages WHERE queue LIKE '%-dlq'"
        return bool(await mesh.gateway.database.fetchval(query))

    await until(gone, what="the dead letter that is dropped")
    assert (await mesh.task(task_id))["status"] == "running"
    assert await mesh.transport.depth("echo") == 0


async def test_what_a_hop_had_stored_is_sent_on_if_its_message_is_a_dead_letter(mesh: Mesh) -> None:
    task_id, envelope = await called(mesh)
    await reports(mesh, task_id, "received", claim=CLAIM)
    frame = envelope.with_(payload={"stored": True}, status={"phase": "succeeded"}).as_dict()
    said = {"prev": [], "curr": "echo", "next": [], "status": "processed", "claim": CLAIM, "frames": [frame]}
    assert (await mesh.post(f"/mesh/{task_id}/progress", said))[0] == 200
    await dies(mesh, "echo")
    await mesh.run(mesh.worker("echo", "echo"))
    assert (await mesh.ended(task_id))["result"] == {"stored": True}
    assert CALLS == []


async def test_a_dead_letter_of_the_crew_ends_its_task_as_it_was_to_end(mesh: Mesh) -> None:
    """Nobody of the crew could take it. It claims nothing, and what it does may be done twice."""
    await mesh.transport.declare(Queue(SINK, max_deliveries=DEATHS))
    task_id = await mesh.submit(["unserved"], {})
    done = envelope_of(task_id, ["echo"], {"a": 1})
    await mesh.publish(done.with_(status={**done.status, "phase": "succeeded"}), SINK)
    await dies(mesh, SINK)
    await mesh.run()
    task = await mesh.ended(task_id)
    assert (task["status"], task["result"]) == ("succeeded", {"a": 1})


@pytest.mark.parametrize("which", ["unknown", "ended", "of another actor", "no envelope"])
async def test_a_dead_letter_of_which_nothing_can_be_known_is_not_sent_again(mesh: Mesh, which: str) -> None:
    await mesh.transport.declare(Queue("echo", max_deliveries=DEATHS))
    task_id = "unknown" if which == "unknown" else await mesh.submit(["unserved"], {})
    if which == "ended":
        assert (await mesh.post(f"/mesh/{task_id}/final", {"status": "succeeded", "result": 1}))[0] == 200
    envelope = envelope_of(task_id, ["other" if which == "of another actor" else "echo"], {})
    body = b"{}" if which == "no envelope" else envelope.to_json().encode()
    assert await mesh.transport.publish([OutboundMessage("echo", body)]) == [None]
    await dies(mesh, "echo")
    await mesh.run()

    async def gone() -> bool:
        query = "SELECT count(*) = 0 FROM queue_messages WHERE queue LIKE '%-dlq' OR queue LIKE '%-echo'"
        return bool(await mesh.gateway.database.fetchval(query))

    await until(gone, what="the dead letter that is gone")

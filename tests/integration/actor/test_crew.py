"""The crew with third-party workers and sidecars: their forms of an end, and messages that end nothing."""

from typing import Any

import pytest

from asya_crds.envelope import Envelope, Route
from asya_transports.port import OutboundMessage
from tests.support.actors import Mesh, envelope_of
from tests.support.handlers import CALLS
from tests.support.waiting import until

ERROR = {"message": "it broke", "type": "mod.Broken", "mro": ["Exception"], "traceback": "trace"}


async def task_and(mesh: Mesh, payload: Any, status: dict[str, Any], **changes: Any) -> tuple[str, Envelope]:
    """A task, and an envelope of it as it reaches the crew."""
    await mesh.run()
    task_id = await mesh.submit(["unserved"], {})
    envelope = envelope_of(task_id, ["unserved"], payload, **changes)
    return task_id, envelope.with_(status={**envelope.status, **status})


@pytest.mark.parametrize(
    ("queue", "payload", "status", "message", "error_class"),
    [
        ("x-sump", {}, {"phase": "failed", "error": ERROR}, "it broke", "business"),
        ("x-sink", {}, {"phase": "failed", "error": ERROR, "reason": "PolicyExhausted"}, "it broke", "business"),
        ("x-sump", {"error": "processing_error", "details": ERROR}, {"phase": "failed"}, "it broke", "business"),
        ("x-sump", {"error": "Runtime timeout exceeded"}, {}, "Runtime timeout exceeded", "runtime"),
        ("x-sink", {}, {"phase": "failed", "reason": "Timeout", "error": {"message": "slow"}}, "slow", "runtime"),
        ("x-sump", {}, {"error": {**ERROR, "class": "deadline"}}, "it broke", "deadline"),
        ("x-sink", {"error": "SLA deadline expired"}, {"phase": "failed"}, "SLA deadline expired", "deadline"),
        ("x-sump", "no object", {}, "the actor failed without a reason", "runtime"),
    ],
)  # fmt: skip
async def test_a_failure_is_reported_in_whatever_form_it_comes(
    mesh: Mesh, queue: str, payload: Any, status: dict[str, Any], message: str, error_class: str
) -> None:
    task_id, envelope = await task_and(mesh, payload, {"actor": "broken", "attempt": 2, **status})
    await mesh.publish(envelope, queue)
    task = await mesh.ended(task_id)
    error = task["error"]
    assert (task["status"], error["message"], error["class"]) == ("failed", message, error_class)
    assert (error["actor"], error["attempts"]) == ("broken", 2)


@pytest.mark.parametrize(
    ("status", "headers"),
    [({"phase": "canceled"}, {}), ({"phase": "paused"}, {}), ({}, {"x-asya-fan-in": {"slice_index": 0}})],
)
async def test_what_ends_nothing_is_swallowed(mesh: Mesh, status: dict[str, Any], headers: dict[str, Any]) -> None:
    task_id, envelope = await task_and(mesh, {}, status, headers=headers)
    await mesh.publish(envelope, "x-sink")

    async def empty() -> bool:
        return await mesh.transport.depth("x-sink") == 0

    await until(empty)
    await mesh.publish(envelope.with_(status={"phase": "succeeded"}, headers={}, payload="end"), "x-sink")
    task = await mesh.ended(task_id)
    assert task["result"] == "end"
    assert [kind for kind, _ in await mesh.updates(task_id)].count("final") == 1


async def test_a_merged_message_ends_the_task_that_its_header_names(mesh: Mesh) -> None:
    """Merged message sets `x-asya-origin-id`."""
    task_id, envelope = await task_and(mesh, [1, 2], {}, headers={"x-asya-origin-id": "set below"})
    await mesh.publish(envelope.with_(id="a-part", headers={"x-asya-origin-id": task_id}), "x-sink")
    assert (await mesh.ended(task_id))["result"] == [1, 2]


async def test_a_null_result_and_odd_text_arrive_as_they_are(mesh: Mesh) -> None:
    """Jsonb refuses \\u0000 and lone surrogates, which an actor may legally return."""
    payloads: list[Any] = [None, "\0 and \ud800", 2**80, {"": []}]
    for payload in payloads:
        task_id, envelope = await task_and(mesh, payload, {"phase": "succeeded"})
        await mesh.publish(envelope.with_(route=Route(("unserved",), "", ())), "x-sink")
        assert (await mesh.ended(task_id))["result"] == payload


async def test_mesh_status_off_reports_nothing(mesh: Mesh) -> None:
    task_id, envelope = await task_and(mesh, {}, {"phase": "succeeded"}, headers={"x-asya-mesh-status": "off"})
    await mesh.run(mesh.worker("echo", "echo"), crew=False)
    await mesh.publish(envelope.with_(route=Route((), "echo", ()), status={}))
    await mesh.publish(envelope, "x-sink")

    async def empty() -> bool:
        query = "SELECT count(*) FROM queue_messages WHERE queue IN ('asya-default-echo', 'asya-default-x-sink')"
        return bool(await mesh.gateway.database.fetchval(query) == 0)

    await until(empty)
    assert (await mesh.task(task_id))["status"] == "pending"


async def test_the_crew_continues_after_an_unreadable_message(mesh: Mesh) -> None:
    task_id, envelope = await task_and(mesh, 5, {"phase": "succeeded"})
    bad = [OutboundMessage(queue, b"{") for queue in ("x-sink", "x-sump", "x-pause", "x-resume")]
    assert await mesh.transport.publish(bad) == [None] * 4
    await mesh.publish(envelope, "x-sink")
    assert (await mesh.ended(task_id))["result"] == 5


async def test_hooks_get_every_ended_message_after_its_end(mesh: Mesh) -> None:
    crew = mesh.crew(sink_hooks="archive, notify")
    hooks = [mesh.worker("archive", "echo"), mesh.worker("notify", "upper")]
    await mesh.run(mesh.worker("good", "exclaim"), mesh.worker("bad", "refuse"), *hooks, crew=crew)
    good, bad = await mesh.submit(["good"], {"text": "hi"}), await mesh.submit(["bad"], {"text": "no"})
    assert (await mesh.ended(good))["result"] == {"text": "hi!"}
    assert (await mesh.ended(bad))["status"] == "failed"

    await until(lambda: [name for name, _ in CALLS].count("echo") == 2)
    await until(lambda: ("upper", {"text": "hi!"}) in CALLS)
    archived = [payload for name, payload in CALLS if name == "echo"]
    assert {"text": "hi!"} in archived
    failed = next(payload for payload in archived if "error" in payload)
    assert failed["original_payload"] == {"text": "no"}

    # Both hooks have ended, `notify` by failing with the failed message: neither shows in the tasks.
    async def empty() -> bool:
        return bool(await mesh.gateway.database.fetchval("SELECT count(*) FROM queue_messages") == 0)

    await until(empty)
    for task_id, kinds in ((good, ["succeeded"]), (bad, ["failed"])):
        updates = await mesh.updates(task_id)
        assert [detail for kind, detail in updates if kind == "final"] == [updates[-1][1]]
        assert [(await mesh.task(task_id))["status"]] == kinds
    assert len([name for name, _ in CALLS if name in ("echo", "upper")]) == 4


async def test_a_hook_knows_how_the_message_ended_and_children_have_hooks_only_if_told(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("phases", "phase_of"), crew=mesh.crew(sink_hooks="phases", sink_fanout_hooks=True))
    task_id = await mesh.submit(["unserved"], {})
    for child, phase in (("a", "succeeded"), ("b", "failed")):
        envelope = envelope_of(f"{task_id}-{child}", ["unserved"], {}, parent_id=task_id)
        await mesh.publish(envelope.with_(status={"phase": phase}), "x-sink")
    await until(lambda: sorted(CALLS) == [("phase_of", "failed"), ("phase_of", "succeeded")])
    await mesh.stop()
    await mesh.run(mesh.worker("phases", "phase_of"), crew=mesh.crew(sink_hooks="phases"))
    last = envelope_of(f"{task_id}-c", ["unserved"], {}, parent_id=task_id)
    await mesh.publish(last.with_(status={"phase": "succeeded"}), "x-sink")
    await mesh.publish(envelope_of(task_id, ["unserved"], "end").with_(status={"phase": "succeeded"}), "x-sink")
    await until(lambda: len(CALLS) == 3)
    await mesh.stop()
    assert len(CALLS) == 3


async def test_a_hook_without_a_consumer_delays_no_end(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo"), crew=mesh.crew(sink_hooks="nobody", crew_concurrency=1))
    tasks = [await mesh.submit(["echo"], number) for number in range(5)]
    for number, task_id in enumerate(tasks):
        assert (await mesh.ended(task_id, 10))["result"] == number

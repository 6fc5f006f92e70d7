"""Handling of errors: business and runtime, retried, rerouted, given up."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from typing_extensions import override

from asya_actor import hop
from asya_crds.envelope import Envelope, format_time
from asya_gateway.domain.identity.principals import MESH
from asya_transports.port import OutboundMessage
from tests.support.actors import Mesh, envelope_of
from tests.support.handlers import CALLS, FAILURES
from tests.support.lives import EITHER
from tests.support.waiting import until


def policies(**default: Any) -> str:
    return json.dumps({"default": {"initialDelay": "20ms", "backoff": "constant", **default}})


@EITHER
async def test_an_error_without_a_policy_fails_the_task_at_once_as_business(mesh: Mesh) -> None:
    """First matching rule -> else policy `default` -> else fail at once."""
    await mesh.run(mesh.worker("refuse", "refuse"))
    task = await mesh.ended(await mesh.submit(["refuse"], {}))
    assert task["status"] == "failed"
    error = task["error"]
    assert (error["message"], error["class"], error["actor"], error["attempts"]) == (
        "no, thank you",
        "business",
        "refuse",
        1,
    )
    details = error["details"]
    assert details["type"] == "tests.support.handlers.Refusal"
    assert details["mro"] == ["ValueError", "Exception", "BaseException"]
    assert "in refuse" in details["traceback"]
    assert len(CALLS) == 1


async def test_an_error_that_cannot_say_what_it_is_costs_one_attempt_and_is_named(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("speechless", "speechless"))
    task = await mesh.ended(await mesh.submit(["speechless"], {}))
    error = task["error"]
    assert (task["status"], error["attempts"], error["class"]) == ("failed", 1, "business")
    assert error["details"]["type"] == "tests.support.handlers.Unspeakable"
    assert len(CALLS) == 1


@EITHER
async def test_a_failure_is_retried_and_then_succeeds(mesh: Mesh) -> None:
    FAILURES["left"] = 2
    await mesh.run(mesh.worker("flaky", "flaky", resiliency_policies=policies(maxAttempts=3)))
    task_id = await mesh.submit(["flaky"], {"keeps": "its payload"})
    task = await mesh.ended(task_id)
    assert (task["status"], task["result"]) == ("succeeded", {"keeps": "its payload"})
    assert len(CALLS) == 3


@EITHER
async def test_exhausted_attempts_fail_the_task_with_their_number(mesh: Mesh) -> None:
    FAILURES["left"] = 99
    await mesh.run(mesh.worker("flaky", "flaky", resiliency_policies=policies(maxAttempts=3)))
    task = await mesh.ended(await mesh.submit(["flaky"], {}))
    assert (task["error"]["attempts"], task["error"]["details"]["type"]) == (3, "ConnectionResetError")
    assert len(CALLS) == 3


async def test_more_retries_than_the_queue_has_deliveries_are_not_dead_letters(mesh: Mesh) -> None:
    FAILURES["left"] = 7
    await mesh.run(mesh.worker("flaky", "flaky", resiliency_policies=policies(maxAttempts=10)))
    assert (await mesh.ended(await mesh.submit(["flaky"], {})))["status"] == "succeeded"
    assert len(CALLS) == 8


async def test_the_older_variables_retry_too(mesh: Mesh) -> None:
    FAILURES["left"] = 1
    settings = mesh.worker("flaky", "flaky", resiliency_retry_max_attempts=2, resiliency_retry_initial_interval="10ms")
    await mesh.run(settings)
    assert (await mesh.ended(await mesh.submit(["flaky"], {})))["status"] == "succeeded"


async def test_a_rule_chooses_the_policy_by_a_base_class(mesh: Mesh) -> None:
    rules = json.dumps([{"errors": ["ConnectionError"], "policy": "network"}])
    network = json.dumps({"network": {"maxAttempts": 2, "initialDelay": 0, "backoff": "constant"}})
    await mesh.run(
        mesh.worker("flaky", "flaky", resiliency_policies=network, resiliency_rules=rules),
        mesh.worker("refuse", "refuse", resiliency_policies=network, resiliency_rules=rules),
    )
    FAILURES["left"] = 1
    assert (await mesh.ended(await mesh.submit(["flaky"], {})))["status"] == "succeeded"
    assert (await mesh.ended(await mesh.submit(["refuse"], {})))["error"]["attempts"] == 1


@EITHER
async def test_an_exhausted_policy_sends_the_message_to_its_actors_instead(mesh: Mesh) -> None:
    settings = mesh.worker("refuse", "refuse", resiliency_policies=policies(maxAttempts=1, onExhausted=["echo"]))
    await mesh.run(settings, mesh.worker("echo", "echo"), mesh.worker("upper", "upper"))
    task = await mesh.ended(await mesh.submit(["refuse", "upper"], {"text": "kept"}))
    assert (task["status"], task["result"]) == ("succeeded", {"text": "kept"})
    assert [name for name, _ in CALLS] == ["refuse", "echo"]


@EITHER
async def test_an_async_handler_over_its_time_is_a_timeout_of_class_runtime(mesh: Mesh) -> None:
    running = await mesh.run(mesh.worker("never", "never", resiliency_actor_timeout="100ms"))
    task = await mesh.ended(await mesh.submit(["never"], {}))
    assert (task["error"]["class"], task["error"]["details"]["type"]) == ("runtime", "TimeoutError")
    assert not running.done()


async def test_a_generator_over_its_time_ends_at_its_next_yield(mesh: Mesh) -> None:
    running = await mesh.run(mesh.worker("endless", "endless_generator", resiliency_actor_timeout="100ms"))
    task = await mesh.ended(await mesh.submit(["endless"], {}))
    assert task["error"]["details"]["type"] == "TimeoutError"
    assert not running.done()


@EITHER
async def test_a_thread_that_cannot_be_ended_ends_the_program_after_its_report(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sidecar exits 1 on timeout so the pod restarts."""
    monkeypatch.setattr("asya_actor.calling.CANCEL_GRACE", 0.1)
    await mesh.run()
    stuck = await mesh.run(mesh.worker("never", "never_in_a_thread", resiliency_actor_timeout="100ms"), crew=False)
    task = await mesh.ended(await mesh.submit(["never"], {}))
    assert task["error"]["class"] == "runtime"
    async with asyncio.timeout(10):
        assert await stuck == 1


@pytest.mark.parametrize(
    ("handler", "kind"), [("exits", "SystemExit"), ("not_json", "TypeError"), ("unknown_verb", "RuntimeError")]
)
async def test_whatever_a_handler_does_wrong_is_its_failure_and_not_the_workers(
    mesh: Mesh, handler: str, kind: str
) -> None:
    running = await mesh.run(mesh.worker("bad", handler))
    task = await mesh.ended(await mesh.submit(["bad"], {}))
    assert (task["error"]["class"], task["error"]["details"]["type"]) == ("business", kind)
    assert not running.done()


async def leave(mesh: Mesh, task_id: str, seconds: float) -> None:
    """Let the task be overdue in so many seconds."""
    await mesh.gateway.database.execute(
        "UPDATE tasks SET deadline_at = clock_timestamp() + $2 * interval '1 second' WHERE id = $1", task_id, seconds
    )


def stamped(envelope: Envelope, seconds: float) -> Envelope:
    """The envelope with a deadline so many seconds from now."""
    deadline = format_time(datetime.now(UTC) + timedelta(seconds=seconds))
    return envelope.with_(status={**envelope.status, "deadline_at": deadline})


@EITHER
async def test_an_overdue_envelope_is_not_run_and_fails_with_class_deadline(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["unserved"], {})
    await leave(mesh, task_id, -1)
    await mesh.publish(envelope_of(task_id, ["echo"], {}))
    task = await mesh.ended(task_id)
    assert (task["status"], task["error"]["class"]) == ("failed", "deadline")
    assert CALLS == []


@EITHER
async def test_a_deadline_that_passes_during_the_work_ends_it(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("never", "never"))
    task_id = await mesh.submit(["unserved"], {})
    await leave(mesh, task_id, 2)
    await mesh.publish(stamped(envelope_of(task_id, ["never"], {}), 90))
    assert (await mesh.ended(task_id))["error"]["class"] == "deadline"
    assert len(CALLS) == 1


async def test_a_worker_takes_what_is_left_from_mesh_and_its_own_clock_ends_nothing(mesh: Mesh) -> None:
    """To a worker whose clock is 90 s fast every stamp is 90 s older."""
    await mesh.run(mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["unserved"], {}, timeout="60s")
    await mesh.publish(stamped(envelope_of(task_id, ["echo"], {"a": 1}), -90))
    assert (await mesh.ended(task_id))["result"] == {"a": 1}


@pytest.mark.parametrize(("ago", "status"), [(30, "succeeded"), (90, "failed")])
@pytest.mark.parametrize("skew", [90, -90])
async def test_how_long_retries_go_on_does_not_depend_on_the_clocks_of_workers(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, skew: int, ago: int, status: str
) -> None:
    """The first attempt was another worker's, 30 s or 90 s ago, and this worker's clock is wrong by 90 s."""

    class Skewed(datetime):
        @classmethod
        @override
        def now(cls, tz: tzinfo | None = None) -> "Skewed":
            return cls.fromtimestamp(time.time() + skew, tz)

    monkeypatch.setattr(hop, "datetime", Skewed)
    FAILURES["left"] = 1
    await mesh.run(mesh.worker("flaky", "flaky", resiliency_policies=policies(maxDuration="60s")))
    task_id = await mesh.submit(["unserved"], {}, timeout="1h")
    envelope = envelope_of(task_id, ["flaky"], {})
    first = format_time(datetime.now(UTC) - timedelta(seconds=ago))
    await mesh.publish(stamped(envelope.with_(headers={**envelope.headers, "x-asya-first-attempt": first}), 3_600))
    assert (await mesh.ended(task_id))["status"] == status


@EITHER
async def test_a_canceled_task_is_dropped(mesh: Mesh) -> None:
    task_id = await mesh.submit(["echo"], {})
    await mesh.gateway.tasks.cancel(task_id, MESH)
    await mesh.run(mesh.worker("echo", "echo"))
    other = await mesh.ended(await mesh.submit(["echo"], {"other": 1}))
    assert other["status"] == "succeeded"
    assert CALLS == [("echo", {"other": 1})]


@EITHER
async def test_a_message_for_another_actor_fails_its_task(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["unserved"], {})
    await mesh.publish(envelope_of(task_id, ["other"], {}), actor="echo")
    task = await mesh.ended(task_id)
    assert (task["error"]["class"], task["error"]["details"]["type"]) == ("runtime", "RouteMismatch")


async def test_a_message_that_is_no_envelope_fails_the_task_it_names(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["unserved"], {})
    bodies = [json.dumps({"id": task_id, "route": 5}).encode(), json.dumps({"no": "id"}).encode(), b"\xff"]
    assert await mesh.transport.publish([OutboundMessage("echo", body) for body in bodies]) == [None] * 3
    assert (await mesh.ended(task_id))["error"]["details"]["type"] == "ParseError"

    async def empty() -> bool:
        return await mesh.transport.depth("echo") == 0 and await mesh.transport.depth("x-sump") == 0

    await until(empty)


@EITHER
async def test_an_actor_that_has_no_queue_fails_the_task_after_a_while(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo", unroutable_timeout="200ms"))
    task = await mesh.ended(await mesh.submit(["echo", "nobody"], {}))
    assert (task["error"]["class"], task["error"]["details"]["type"]) == ("runtime", "Unroutable")
    assert "nobody" in task["error"]["message"]


@EITHER
async def test_a_result_that_mesh_refuses_fails_the_task_with_the_reason(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("large", "tests.support.handlers.eleven_mebibytes"))
    task = await mesh.ended(await mesh.submit(["large"], {}), 30)
    assert (task["status"], task["error"]["class"]) == ("failed", "runtime")
    assert "rejected the result" in task["error"]["message"]

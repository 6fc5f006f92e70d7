"""A call becomes a task, actors report, every reader sees it happen, over the routes of existing sidecars."""

from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.domain.owners import EVERY_OWNER
from tests.support.gateway import Gateway, start_gateway


def _handle(answer: Any) -> Any:
    return jsontext.loads(answer["content"][0]["text"])


async def test_a_call_is_answered_with_the_handle_at_once(gateway: Gateway) -> None:
    """Existing clients read the text as {task_id, message: "Task created successfully", status_url, stream_url}."""
    status, answer = await gateway.post("/tools/call", {"name": "shout", "arguments": {"text": "hi"}})
    handle = _handle(answer)
    assert (status, answer["isError"], handle["message"]) == (200, False, "Task created successfully")
    assert handle["status_url"] == f"/tasks/{handle['task_id']}"
    assert handle["stream_url"] == f"/stream/{handle['task_id']}"
    status, task = await gateway.get(handle["status_url"])
    assert (status, task["status"], task["payload"]) == (200, "pending", {"text": "hi"})


async def test_a_task_read_by_the_mesh_has_every_field_of_the_api_document(gateway: Gateway) -> None:
    task_id = await gateway.submit("shout", {"text": "hi"})
    report = {
        "prev": ["first"],
        "curr": "second",
        "next": ["third"],
        "status": "processing",
        "message": "second: on it",
    }
    assert (await gateway.post(f"/mesh/{task_id}/progress", report))[1] == {"status": "ok", "progress_percent": 50.0}
    status, task = await gateway.get(f"/mesh/{task_id}")
    assert status == 200
    assert task["created_at"].endswith("Z")
    assert {key: task[key] for key in task if not key.endswith("_at")} == {
        "id": task_id,
        "parent_id": None,
        "context_id": None,
        "flow": "shout",
        "status": "running",
        "message": "second: on it",
        "progress_percent": 50.0,
        "route": {"prev": ["first"], "curr": "second", "next": ["third"]},
        "current_actor_name": "second",
        "current_actor_idx": 1,
        "actors_completed": 1,
        "total_actors": 3,
        "error": None,
        "pause": None,
        "payload": {"text": "hi"},
        "result": None,
        "retry_of": None,
    }


async def test_progress_follows_the_formula(gateway: Gateway) -> None:
    """'(len(prev) + status_weight) x 100 / total_actors'; the first of three actors, completed, is 33.3 %."""
    task_id = await gateway.submit("shout", {"text": "hi"})
    body = {"prev": None, "curr": "first", "next": ["second", "third"], "status": "completed"}
    assert (await gateway.post(f"/mesh/{task_id}/progress", body))[1]["progress_percent"] == 33.3


async def test_the_older_dialect_reports_the_same(gateway: Gateway) -> None:
    """The older dialect: {actors, current_actor_idx, status} -> {"status": "ok", "progress_percent": 33.3}."""
    task_id = await gateway.submit("shout", {"text": "hi"})
    body = {"actors": ["prep", "infer", "post"], "current_actor_idx": 0, "status": "completed"}
    assert await gateway.post(f"/mesh/{task_id}/progress", body) == (200, {"status": "ok", "progress_percent": 33.3})
    _, task = await gateway.get(f"/mesh/{task_id}")
    assert task["route"] == {"prev": [], "curr": "prep", "next": ["infer", "post"]}


async def test_a_route_that_has_ended_is_a_hundred_percent(gateway: Gateway) -> None:
    """An empty `curr` with an empty `next` is 100 %."""
    task_id = await gateway.submit("shout", {"text": "hi"})
    body = {"prev": ["first", "second", "third"], "curr": "", "next": None, "status": "completed"}
    assert (await gateway.post(f"/mesh/{task_id}/progress", body))[1]["progress_percent"] == 100


async def test_a_report_without_a_route_leaves_route_and_progress_alone(gateway: Gateway) -> None:
    """Newer sidecars fall back to the older routes with prev null, curr "" and no next."""
    task_id = await gateway.submit("shout", {"text": "hi"})
    body = {"prev": None, "curr": "", "status": "processing", "message": "status update via legacy fallback"}
    assert (await gateway.post(f"/mesh/{task_id}/progress", body))[1]["progress_percent"] == 0
    _, task = await gateway.get(f"/mesh/{task_id}")
    assert (task["status"], task["route"]["curr"]) == ("running", "first")


async def test_unknown_tasks_are_answered_alike_and_stored_nowhere(gateway: Gateway) -> None:
    """Reports of unknown tasks are accepted with 200 and ignored (docs/protocols/mesh.md)."""
    progress = {"prev": [], "curr": "a", "next": ["b"], "status": "processing"}
    assert await gateway.post("/mesh/nobody/progress", progress) == (200, {"status": "ok", "progress_percent": 25.0})
    assert await gateway.post("/mesh/nobody/final", {"status": "succeeded"}) == (200, {"status": "ok"})
    assert await gateway.post("/mesh/nobody/fly", {"token": "x"}) == (200, "")
    assert (await gateway.post("/api/v1/mesh/nobody/events", {"type": "status", "status": "processing"}))[0] == 204
    assert (await gateway.get("/mesh/nobody"))[0] == 404
    assert await gateway.stored() == 0


async def test_a_stream_replays_then_continues_and_closes_at_the_end(gateway: Gateway) -> None:
    """'Replays historical progress and status updates first, then streams live updates. (...) Closes
    when task reaches a final status.'"""
    task_id = await gateway.submit("shout", {"text": "hi"})
    report = {"prev": ["first"], "curr": "second", "next": ["third"], "status": "processing"}
    await gateway.post(f"/mesh/{task_id}/progress", report)
    async with gateway.stream(f"/stream/{task_id}") as reader:
        assert reader.response.headers["Content-Type"] == "text/event-stream"
        assert reader.response.headers["Cache-Control"] == "no-store"
        assert reader.response.headers["X-Accel-Buffering"] == "no"
        replayed = [await reader.next(), await reader.next()]
        await gateway.finish(task_id, {"loud": "HI"})
        rest = await reader.all()
    events = [event for event in [*replayed, *rest] if event is not None]
    assert [(event.name, event.id, event.data["status"]) for event in events] == [
        ("update", "1", "pending"),
        ("update", "2", "running"),
        ("update", "3", "succeeded"),
    ]
    running = events[1].data
    assert (running["curr"], running["task_state"]) == ("second", "processing")
    assert (running["actor"], running["actor_state"], running["current_actor_idx"]) == ("second", "processing", 1)
    assert running["actors"] == ["first", "second", "third"]
    assert events[2].data["result"] == {"loud": "HI"}
    assert events[2].data["message"] == "Task completed successfully"
    assert "actor" not in events[2].data


async def test_a_quiet_stream_is_kept_alive(gateway: Gateway) -> None:
    """'Sends keepalive comments every 15 seconds' (0.2 s here)."""
    task_id = await gateway.submit()
    async with gateway.stream(f"/mesh/{task_id}/stream") as reader:
        await reader.next()
        assert await reader.comment() == "keep-alive"
        await gateway.finish(task_id)
        assert len(await reader.all()) == 1


async def test_a_reader_continues_where_it_stopped(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    await gateway.finish(task_id)
    async with gateway.stream(f"/stream/{task_id}", **{"Last-Event-ID": "1"}) as reader:
        assert [event.id for event in await reader.all()] == ["2"]


async def test_a_reader_that_has_seen_the_end_gets_204(gateway: Gateway) -> None:
    """A reader that already has the terminal one gets 204, which ends EventSource's reconnecting."""
    task_id = await gateway.submit()
    await gateway.finish(task_id)
    assert (await gateway.get(f"/stream/{task_id}", headers={"Last-Event-ID": "2"}))[0] == 204


async def test_a_last_event_id_that_is_no_number_of_ours_counts_as_absent(gateway: Gateway) -> None:
    """A `Last-Event-ID` that is no number or beyond the last seq counts as absent."""
    task_id = await gateway.submit()
    await gateway.finish(task_id)
    for text in ("abc", "-1", "3", "99999999999999999999999", "1.5", "²", ""):
        async with gateway.stream(f"/stream/{task_id}", **{"Last-Event-ID": text}) as reader:
            assert [event.id for event in await reader.all()] == ["1", "2"], text


async def test_fly_events_reach_readers_wrapped_or_bare_and_carry_no_id(gateway: Gateway) -> None:
    """'The SSE event type defaults to partial. If the FLY payload contains an A2A-specific key
    (artifact_update, status_update, or message), the event type matches that key.' Existing sidecars wrap it."""
    task_id = await gateway.submit()
    sent = [
        ({"type": "text_delta", "token": "Hello"}, "partial"),
        ({"payload": {"type": "text_delta", "token": " world"}}, "partial"),
        ({"payload": {"artifact_update": {"append": True}}}, "artifact_update"),
        ({"status_update": {"status": "WORKING"}}, "status_update"),
        ({"message": "hi", "type": "partial"}, "message"),
    ]
    async with gateway.stream(f"/stream/{task_id}") as reader:
        await reader.next()
        for body, _ in sent:
            assert await gateway.post(f"/mesh/{task_id}/fly", body) == (200, "")
        got = [await reader.next() for _ in sent]
        await gateway.finish(task_id)
    assert [(event.name, event.id) for event in got if event] == [(name, None) for _, name in sent]
    assert got[1] is not None
    assert got[1].data == {"type": "text_delta", "token": " world"}


async def test_the_first_end_wins(gateway: Gateway) -> None:
    """The first terminal report wins."""
    task_id = await gateway.submit()
    await gateway.finish(task_id, "first")
    late = {"id": task_id, "status": "failed", "error": "late"}
    assert await gateway.post(f"/mesh/{task_id}/final", late) == (200, {"status": "ok"})
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["result"], task["error"]) == ("succeeded", "first", None)


async def test_a_failure_tells_its_error_as_its_reporter_gave_it(gateway: Gateway) -> None:
    """A failure's error is `error` plus `error_details {message, type, mro[], traceback}`."""
    task_id = await gateway.submit()
    details = {"message": "no", "type": "ValueError", "mro": ["ValueError"], "traceback": "..."}
    body = {"id": task_id, "status": "failed", "error": "no", "error_details": details, "current_actor_name": "first"}
    await gateway.post(f"/mesh/{task_id}/final", body)
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert task["error"] == {
        "code": "actor_error",
        "message": "no",
        "class": "business",
        "actor": "first",
        "details": details,
    }


async def test_work_is_active_until_it_waits_or_ends(gateway: Gateway) -> None:
    """200 {"active": true}, 410 {"active": false}; unknown ids are active."""
    task_id = await gateway.submit()
    assert await gateway.get(f"/mesh/{task_id}/active") == (200, {"active": True})
    assert await gateway.get("/mesh/nobody/active") == (200, {"active": True})
    await gateway.finish(task_id)
    assert await gateway.get(f"/mesh/{task_id}/active") == (410, {"active": False})
    paused, overdue = await gateway.submit(), await gateway.submit()
    await gateway.post(f"/mesh/{paused}/progress", {"status": "paused", "curr": "x-pause"})
    assert await gateway.get(f"/mesh/{paused}/active") == (410, {"active": False})
    # As long as no sweeper has come by.
    await gateway.running.storage.database.execute(
        "UPDATE tasks SET deadline_at = now() - interval '1 second' WHERE id = $1", overdue
    )
    assert await gateway.get(f"/mesh/{overdue}/active") == (410, {"active": False})


async def test_a_flow_without_a_timeout_gets_the_default_deadline_and_keeps_it_to_itself(database_url: str) -> None:
    """'A flow without `timeout` gets the setting's default deadline'; 'deadline_at only where
    the flow has a timeout'."""
    async with start_gateway(database_url, default_timeout=3600.0) as gateway:
        task_id = await gateway.submit()
        row = await gateway.running.storage.database.fetchrow(
            "SELECT extract(epoch FROM t.deadline_at - t.created_at)::integer AS seconds,"
            " o.body::json->'status' AS status FROM tasks t JOIN outbox o ON o.task_id = t.id WHERE t.id = $1",
            task_id,
        )
    assert row is not None
    assert row["seconds"] == 3600
    assert "deadline_at" not in row["status"]


async def test_a_child_is_stored_in_both_dialects(gateway: Gateway) -> None:
    """POST /mesh and POST /tasks answer 201 { "status": "created", "id": ... }."""
    parent = await gateway.submit()
    child = {"id": "c-1", "parent_id": parent, "prev": ["first"], "curr": "second", "next": []}
    older = {"id": "c-2", "parent_id": parent, "actors": ["prep", "infer"], "current": 1}
    assert await gateway.post("/mesh", child) == (201, {"status": "created", "id": "c-1"})
    assert await gateway.post("/mesh", child) == (201, {"status": "created", "id": "c-1"})
    assert await gateway.post("/tasks", older) == (201, {"status": "created", "id": "c-2"})
    _, found = await gateway.get("/mesh/c-2")
    assert (found["parent_id"], found["route"]) == (parent, {"prev": ["prep"], "curr": "infer", "next": []})
    _, listed = await gateway.get(f"/tasks?parent_id={parent}")
    assert {task["id"] for task in listed["tasks"]} == {"c-1", "c-2"}


async def test_below_an_ended_task_a_sidecar_is_told_to_drop_its_hop_before_the_childs_own_end_is_stored(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.running.storage.cascade, "take", lambda *_: None)
    parent = await gateway.submit()
    await gateway.post("/mesh", {"id": "below", "parent_id": parent, "prev": ["first"], "curr": "second"})
    assert (await gateway.get("/api/v1/mesh/below"))[1]["status"] == "pending"
    await gateway.post(f"/tasks/{parent}/cancel")
    assert (await gateway.running.tasks.get("below", owner=EVERY_OWNER)).status == "pending"
    assert (await gateway.get("/api/v1/mesh/below"))[1]["status"] == "canceled"
    assert await gateway.get("/mesh/below/active") == (410, {"active": False})


async def test_liveness_and_readiness_are_plain(gateway: Gateway) -> None:
    """Existing probes expect the text OK."""
    assert await gateway.get("/health") == (200, "OK")
    assert await gateway.get("/health/ready") == (200, "OK")

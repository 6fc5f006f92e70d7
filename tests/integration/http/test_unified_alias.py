"""/api/v1/mesh: the words of newer sidecars for the same verbs."""

import pytest

from asya_crds import jsontext
from asya_gateway.storage.tasks import listing
from tests.support.gateway import Gateway

ROOT = "/api/v1/mesh"


async def test_one_actor_is_called_with_headers_and_timeout(gateway: Gateway) -> None:
    """`POST /api/v1/mesh/?actor=NAME` `{payload, headers, timeout}` -> 201 `{id}`."""
    body = {"payload": {"n": 2**63 + 1}, "headers": {"x-mine": "1"}, "timeout": 30}
    status, answer = await gateway.post(f"{ROOT}/?actor=second", body)
    assert (status, list(answer)) == (201, ["id"])
    envelope = jsontext.loads(gateway.running.handed[0].body)
    assert (envelope["id"], envelope["route"]["curr"], envelope["payload"]) == (
        answer["id"],
        "second",
        {"n": 2**63 + 1},
    )
    assert envelope["headers"]["x-mine"] == "1"
    assert "deadline_at" in envelope["status"]


async def test_events_report_and_end_a_task(gateway: Gateway) -> None:
    """`POST .../events` with `{type: "status", status, data}` or `{type: "fly", data}` -> 204."""
    task_id = await gateway.submit("shout", {"text": "hi"})
    events = f"{ROOT}/{task_id}/events"
    async with gateway.stream(events) as reader:
        await reader.next()
        data = {"prev": [], "curr": "first", "next": ["second", "third"], "message": "on it"}
        for body in (
            {"type": "status", "status": "processing", "data": data},
            {"type": "fly", "data": {"payload": {"token": "x"}}},
            {"type": "fly", "data": {"message": "y"}},
            {"type": "status", "status": "retrying"},
        ):
            assert await gateway.post(events, body) == (204, "")
        got = [await reader.next() for _ in range(3)]
        final = {"type": "status", "status": "succeeded", "data": {"result": {"loud": "HI"}}}
        assert await gateway.post(events, final) == (204, "")
        last = await reader.next()
        assert await reader.next() is None
    # Live events travel apart from the log, so only their own order and the end's place are certain.
    assert [event.data for event in got if event and event.name == "fly"] == [{"token": "x"}, {"message": "y"}]
    assert [event.data["progress_percent"] for event in got if event and event.name == "status"] == [16.7]
    assert last is not None
    assert (last.name, last.data["result"]) == ("status", {"loud": "HI"})


async def test_a_pause_comes_as_a_status_event(gateway: Gateway) -> None:
    """G3: same inside {type:"status",status:"completed",data:{...}}."""
    task_id = await gateway.submit()
    data = {"prev": ["first"], "curr": "x-resume", "next": [], "pause_metadata": {"prompt": "ok?", "fields": []}}
    body = {"type": "status", "status": "completed", "data": data}
    assert (await gateway.post(f"{ROOT}/{task_id}/events", body))[0] == 204
    status, task = await gateway.get(f"{ROOT}/{task_id}")
    assert (status, task["id"], task["status"]) == (200, task_id, "paused")


async def test_a_failure_comes_with_the_envelopes_error(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    error = {"message": "no", "type": "ValueError", "mro": [], "traceback": ""}
    body = {"type": "status", "status": "failed", "data": {"error": error}}
    assert (await gateway.post(f"{ROOT}/{task_id}/events", body))[0] == 204
    _, task = await gateway.get(f"{ROOT}/{task_id}")
    assert (task["status"], task["error"]["message"], task["error"]["class"]) == ("failed", "no", "business")


async def test_messages_are_listed_by_offset(gateway: Gateway) -> None:
    """`GET /api/v1/mesh/?status=&limit=&offset=` -> `{messages, total}`."""
    created = [await gateway.submit() for _ in range(3)]
    _, page = await gateway.get(f"{ROOT}/?limit=2&offset=1")
    assert ([task["id"] for task in page["messages"]], page["total"]) == ([created[1], created[0]], 3)
    assert (await gateway.get(f"{ROOT}/?limit=1&offset=0"))[1]["total"] == 2
    assert (await gateway.get(f"{ROOT}/?limit=2&offset=7"))[1] == {"messages": [], "total": 3}
    _, none = await gateway.get(f"{ROOT}?status=failed")
    assert none == {"messages": [], "total": 0}


async def test_a_rare_status_is_listed_however_many_open_tasks_are_newer(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKS", (1, 2))
    created = [await gateway.submit() for _ in range(9)]
    for task_id in created[:2]:
        paused = {"status": "paused", "prev": ["first"], "curr": "x-resume", "next": []}
        assert (await gateway.post(f"/mesh/{task_id}/progress", paused))[0] == 200
    for offset, expected in ((0, created[1]), (1, created[0])):
        _, page = await gateway.get(f"{ROOT}/?status=paused&limit=1&offset={offset}")
        assert ([task["id"] for task in page["messages"]], page["total"]) == ([expected], 2)
    assert (await gateway.get(f"{ROOT}/?status=paused&offset=5"))[1] == {"messages": [], "total": 2}


async def test_deleting_cancels(gateway: Gateway) -> None:
    """`DELETE /api/v1/mesh/{id}` -> 204."""
    task_id, done = await gateway.submit(), await gateway.submit()
    await gateway.finish(done)
    assert await gateway.call("DELETE", f"{ROOT}/{task_id}") == (204, "")
    assert await gateway.call("DELETE", f"{ROOT}/{task_id}") == (204, "")
    assert (await gateway.get(f"{ROOT}/{task_id}"))[1]["status"] == "canceled"
    assert (await gateway.call("DELETE", f"{ROOT}/{done}"))[0] == 409
    assert (await gateway.call("DELETE", f"{ROOT}/nobody"))[0] == 404

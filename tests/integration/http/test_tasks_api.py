"""Waiting, listing, canceling and answering over REST."""

import asyncio
import io
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.storage.tasks import listing
from tests.support.gateway import Gateway, start_gateway


async def _next_created(gateway: Gateway) -> str:
    """The id of the newest task, once there is one."""
    async with asyncio.timeout(5):
        while not (tasks := (await gateway.get("/tasks"))[1]["tasks"]):
            pass
    return str(tasks[0]["id"])


async def test_a_waiting_caller_gets_the_finished_task(gateway: Gateway) -> None:
    """`Prefer: wait=N` (capped at 60 s): 200 with the finished task, else 202 with the handle."""
    headers = {"Prefer": "wait=30"}
    waiting = asyncio.create_task(gateway.post("/tools/call", {"name": "anything"}, headers=headers))
    await gateway.finish(await _next_created(gateway), {"answer": 42})
    status, task = await waiting
    assert (status, task["status"], task["result"]) == (200, "succeeded", {"answer": 42})


@pytest.mark.parametrize("wait", ["0", "1"])
async def test_a_caller_whose_wait_is_too_short_gets_the_handle(gateway: Gateway, wait: str) -> None:
    headers = {"Prefer": f"wait={wait}", "Content-Type": "application/json"}
    url = gateway.url + "/tools/call"
    async with gateway.session.post(url, data='{"name":"anything"}', headers=headers) as response:
        assert (response.status, response.headers["Preference-Applied"]) == (202, f"wait={wait}")
        handle = jsontext.loads((await response.json())["content"][0]["text"])
        assert response.headers["Location"] == f"/tasks/{handle['task_id']}"


async def test_a_wait_is_capped(database_url: str) -> None:
    async with start_gateway(database_url, rest_max_wait=0.05) as gateway:
        url, headers = gateway.url + "/tools/call", {"Prefer": "wait=600"}
        async with gateway.session.post(url, data='{"name":"anything"}', headers=headers) as response:
            assert (response.status, response.headers["Preference-Applied"]) == (202, "wait=0.05")


async def test_links_are_absolute_where_the_public_url_is_known(database_url: str) -> None:
    async with start_gateway(database_url, public_url="https://asya.example.com/") as gateway:
        _, answer = await gateway.post("/tools/call", {"name": "anything"})
        handle = jsontext.loads(answer["content"][0]["text"])
        assert handle["status_url"] == f"https://asya.example.com/tasks/{handle['task_id']}"
        assert handle["stream_url"] == f"https://asya.example.com/stream/{handle['task_id']}"


async def test_the_callers_trace_goes_into_the_envelope(gateway: Gateway) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await gateway.post("/tools/call", {"name": "anything"}, headers={"traceparent": parent, "tracestate": "a=1"})
    headers = jsontext.loads(gateway.running.handed[0].body)["headers"]
    assert (headers["traceparent"], headers["tracestate"]) == (parent, "a=1")


async def test_lists_go_page_by_page_newest_first(gateway: Gateway) -> None:
    created = [await gateway.submit() for _ in range(5)]
    seen, path = [], "/tasks?limit=2"
    while True:
        _, page = await gateway.get(path)
        assert "payload" not in page["tasks"][0]
        seen += [task["id"] for task in page["tasks"]]
        if page["next_cursor"] is None:
            break
        path = f"/tasks?limit=2&cursor={page['next_cursor']}"
    assert seen == created[::-1]


async def test_a_page_that_ends_before_it_is_full_says_where_the_list_continues(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKS", (2,))
    created = [await gateway.submit() for _ in range(5)]
    await gateway.running.storage.database.execute("UPDATE tasks SET status = 'paused' WHERE id = $1", created[0])
    pages, cursor = [], ""
    while cursor is not None:
        _, page = await gateway.get(f"/tasks?status=paused{cursor}")
        pages.append([task["id"] for task in page["tasks"]])
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert pages == [[], [], [created[0]]]


async def test_lists_are_filtered(gateway: Gateway) -> None:
    done, other = await gateway.submit(), await gateway.submit("shout", {"text": "x"})
    await gateway.finish(done)

    async def ids(query: str) -> list[Any]:
        return [task["id"] for task in (await gateway.get(f"/tasks?{query}"))[1]["tasks"]]

    assert await ids("status=succeeded") == [done]
    assert await ids("flow=shout") == [other]
    assert await ids("flow=nothing") == []
    assert await ids("context_id=nothing") == []


async def test_a_reason_that_is_too_long_is_cut_and_not_refused(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    status, task = await gateway.post(f"/tasks/{task_id}/cancel", {"reason": "x" * 1_000_000})
    assert (status, task["status"]) == (200, "canceled")
    assert task["error"]["message"] == "x" * 4095 + "…"


async def test_a_task_is_canceled_once(gateway: Gateway) -> None:
    """Cancel or resume of a task in the wrong state: 409."""
    task_id = await gateway.submit()
    status, task = await gateway.post(f"/tasks/{task_id}/cancel", {"reason": "changed my mind"})
    assert (status, task["status"], task["error"]["class"]) == (200, "canceled", "canceled")
    assert task["message"] == "changed my mind"
    assert (await gateway.post(f"/tasks/{task_id}/cancel"))[0] == 409
    assert (await gateway.post("/tasks/nobody/cancel"))[0] == 404
    assert await gateway.get(f"/mesh/{task_id}/active") == (410, {"active": False})


PAUSE = {
    "status": "completed",
    "message": "Paused: waiting for external input",
    "prev": ["first", "x-pause"],
    "curr": "x-resume",
    "next": ["second"],
    "pause_metadata": {"prompt": "Approve?", "fields": [{"name": "ok", "type": "boolean"}]},
}


async def test_a_pause_is_shown_answered_once_and_sent_on(gateway: Gateway) -> None:
    """The first answer wins (a second gets 409)."""
    task_id = await gateway.submit()
    assert (await gateway.post(f"/mesh/{task_id}/progress", PAUSE))[0] == 200
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["pause"]["id"], task["pause"]["prompt"]) == ("paused", "hop-2", "Approve?")
    assert task["pause"]["schema"]["properties"] == {"ok": {"type": "boolean"}}
    assert await gateway.get(f"/mesh/{task_id}/active") == (410, {"active": False})
    resume = f"/tasks/{task_id}/resume"
    status, answer = await gateway.post(resume, {"answer": {"ok": "yes"}})
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "invalid_arguments", "answer")
    assert answer["error"]["message"].startswith("the answer does not match the question's schema: ")
    assert (await gateway.post(resume, {}))[1]["error"]["field"] == "answer"
    assert (await gateway.post(resume, {"answer": {"ok": True}, "pause_id": "other"}))[0] == 409
    status, task = await gateway.post(resume, {"answer": {"ok": True}, "pause_id": "hop-2"})
    assert (status, task["status"], task["pause"]) == (200, "running", None)
    assert (await gateway.post(resume, {"answer": {"ok": True}}))[0] == 409
    envelope = jsontext.loads(gateway.running.handed[-1].body)
    assert (envelope["id"], envelope["route"]["curr"]) == (f"resume-{task_id}", "x-resume")
    assert envelope["payload"] == {"ok": True}


async def test_reports_under_the_resume_id_are_the_tasks(gateway: Gateway) -> None:
    """The gateway aliases it to the task on every mesh route."""
    task_id = await gateway.submit()
    alias = f"/mesh/resume-{task_id}"
    report = {"id": f"resume-{task_id}", "status": "received", "curr": "x-resume", "next": []}
    assert (await gateway.post(f"{alias}/progress", report))[0] == 200
    assert (await gateway.get(alias))[1]["id"] == task_id
    async with gateway.stream(f"{alias}/stream") as reader:
        assert (await gateway.post(f"{alias}/fly", {"t": 1}))[0] == 200
        final = {"id": f"resume-{task_id}", "status": "succeeded", "result": 1}
        assert (await gateway.post(f"{alias}/final", final))[0] == 200
        assert [event.name for event in await reader.all()] == ["update", "update", "partial", "update"]
    assert await gateway.get(f"{alias}/active") == (410, {"active": False})


async def test_a_waiting_caller_is_told_that_the_task_asks_a_question(gateway: Gateway) -> None:
    headers = {"Prefer": "wait=30"}
    waiting = asyncio.create_task(gateway.post("/tools/call", {"name": "anything"}, headers=headers))
    await gateway.post(f"/mesh/{await _next_created(gateway)}/progress", PAUSE)
    status, answer = await waiting
    assert status == 202
    assert jsontext.loads(answer["content"][0]["text"])["message"] == "Task waits for an answer"


def checkpointed(task_id: str, payload: Any, *, required: bool = True) -> dict[str, Any]:
    """A pause as our worker reports it."""
    fields = [{"name": "ok", "type": "boolean", "payload_key": "/order/ok", "required": required}]
    checkpoint = {"id": task_id, "route": {"prev": ["first"], "curr": "second", "next": []}, "payload": payload}
    return PAUSE | {"status": "paused", "pause_metadata": {"prompt": "?", "fields": fields}, "checkpoint": checkpoint}


async def test_an_answer_is_put_into_the_checkpoint_and_the_question_stays_here(gateway: Gateway) -> None:
    """An existing sidecar takes `x-asya-pause` for a new pause, and our x-resume of the version before knows no other
    header that names fields."""
    task_id = await gateway.submit()
    await gateway.post(f"/mesh/{task_id}/progress", checkpointed(task_id, {"order": {"n": 2**70}}))
    assert (await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"ok": True, "more": 1}}))[0] == 200
    envelope = jsontext.loads(gateway.running.handed[-1].body)
    checkpoint = envelope["headers"]["x-asya-resume-checkpoint"]
    assert (checkpoint["payload"], envelope["payload"]) == ({"order": {"n": 2**70, "ok": True}}, None)
    assert "x-asya-pause" not in envelope["headers"]


async def test_an_answer_that_has_no_place_in_the_payload_fails_the_task(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    await gateway.post(f"/mesh/{task_id}/progress", checkpointed(task_id, "text", required=False))
    status, task = await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"ok": True}})
    assert (status, task["status"], task["error"]["actor"]) == (200, "failed", "x-resume")
    assert task["error"]["message"] == "the payload has no object to put order into"
    assert len(gateway.running.handed) == 1


async def test_a_question_whose_answers_all_lack_a_place_in_the_payload_fails_the_task_before_it_is_asked(
    gateway: Gateway,
) -> None:
    task_id = await gateway.submit()
    assert (await gateway.post(f"/mesh/{task_id}/progress", checkpointed(task_id, "text")))[0] == 400
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["error"]["details"]["type"]) == ("failed", "BadPause")
    assert "no answer has a place in the payload" in task["error"]["message"]


async def test_an_answer_to_an_expired_pause_is_409(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    await gateway.post(f"/mesh/{task_id}/progress", PAUSE)
    await gateway.running.storage.database.execute("UPDATE task_pauses SET expires_at = now()")
    await gateway.running.storage.expiry.expire()
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["error"]["class"], task["error"]["code"]) == ("failed", "deadline", "pause_expired")
    assert (await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"ok": True}}))[0] == 409


async def test_a_reason_that_is_too_long_is_cut_and_never_refused(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    body = io.BytesIO(jsontext.dumps({"reason": "because " * 300_000}).encode())
    headers = {"Content-Type": "application/json"}
    async with gateway.session.post(f"{gateway.url}/tasks/{task_id}/cancel", data=body, headers=headers) as response:
        task = await response.json()
        assert (response.status, task["status"]) == (200, "canceled")
    assert len(task["error"]["message"]) == len(task["message"]) == 4096

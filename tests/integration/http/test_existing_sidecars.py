"""Requests of existing sidecars and their crew, in their actual forms (docs/protocols/mesh.md)."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from asya_crds import jsontext
from asya_gateway.protocols.http.keys import BUDGET
from tests.support.existing import ExistingActors, Fanout, Handler, Message
from tests.support.gateway import Gateway, start_gateway
from tests.support.waiting import until

QUESTION = {"prompt": "Go on?", "fields": [{"name": "ok", "type": "boolean"}]}


def actors(gateway: Gateway, question: Any = QUESTION, **handlers: Handler) -> ExistingActors:
    return ExistingActors(gateway.post, dict(handlers), question=question)


async def submitted(gateway: Gateway, route: list[str], payload: Any = None) -> Message:
    """The envelope of a fresh call of this route."""
    task_id = await gateway.submit(arguments=payload)
    envelope: Message = jsontext.loads(gateway.running.handed[-1].body)
    return envelope | {"id": task_id, "route": {"prev": [], "curr": route[0], "next": route[1:]}}


async def answered(gateway: Gateway, task_id: str, answer: Any) -> Message:
    """The envelope that brings an answer to x-resume."""
    status, said = await gateway.post(f"/tasks/{task_id}/resume", {"answer": answer})
    assert status == 200, said
    envelope: Message = jsontext.loads(gateway.running.handed[-1].body)
    assert envelope["route"] == {"prev": [], "curr": "x-resume", "next": []}
    return envelope


async def broken_off(
    gateway: Gateway, path: str, body: bytes, *, agent: str = "Go-http-client/1.1", half_open: bool = True
) -> None:
    """Send the beginning of a report, and no more once it is being read: what breaks off sooner is as if never sent."""
    budget = gateway.app[BUDGET]
    await until(lambda: not any(budget.held().values()))
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nContent-Length: 1000\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    await until(lambda: any(budget.held().values()))
    writer.write_eof()
    if half_open:
        async with asyncio.timeout(20):
            assert await reader.read() == b""
    writer.close()


def same(message: Message) -> Any:
    return message["payload"]


async def test_a_task_of_existing_actors_pauses_again_and_again_and_moves_after_each_answer(gateway: Gateway) -> None:
    existing = actors(gateway, a=same, b=same)
    envelope = await submitted(gateway, ["a", "x-pause", "x-pause", "x-pause", "b"], {"n": 1})
    await existing.run(envelope)
    task_id, pauses, progress, reported = envelope["id"], [], [], [envelope["id"]]
    for number in (1, 2, 3):
        _, task = await gateway.get(f"/tasks/{task_id}")
        assert (task["status"], task["pause"]["prompt"]) == ("paused", "Go on?")
        pauses.append(task["pause"]["id"])
        progress.append(task["progress_percent"])
        resume = await answered(gateway, task_id, {"ok": True})
        assert resume["id"] == (f"resume-{task_id}" if number == 1 else f"resume.{number}-{task_id}")
        assert resume["headers"]["x-asya-resume-task"] == reported[-1]
        assert "x-asya-pause" not in resume["headers"]
        reported.append(resume["id"])
        await existing.run(resume)
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["result"]) == ("succeeded", {"n": 1, "ok": True})
    assert task["route"] == {"prev": ["x-resume", "b"], "curr": "", "next": []}
    assert pauses == ["hop-2", "hop-1.2", "hop-2.2"]
    assert progress == sorted(set(progress))
    assert progress[-1] < 100
    assert {status for _, _, status in existing.reports} == {200}


async def test_a_redelivered_pause_that_was_answered_changes_nothing(gateway: Gateway) -> None:
    existing = actors(gateway, a=same, b=same, c=same)
    envelope = await submitted(gateway, ["a", "x-pause", "b"])
    await existing.run(envelope)
    resume = await answered(gateway, envelope["id"], {"ok": True})
    await gateway.post(f"/mesh/{resume['id']}/progress", {"prev": ["x-resume"], "curr": "b", "status": "processing"})
    _, before = await gateway.get(f"/tasks/{envelope['id']}")
    for path, body, _ in existing.reports:
        assert (await gateway.post(path, body))[0] == 200
    _, after = await gateway.get(f"/tasks/{envelope['id']}")
    for key in ("status", "pause", "route", "progress_percent", "current_actor_name"):
        assert after[key] == before[key], key


async def test_a_report_under_the_tasks_own_id_counts_by_its_hop_after_an_answer_that_our_crew_carries(
    gateway: Gateway,
) -> None:
    envelope = await submitted(gateway, ["a", "x-pause", "b", "c"])
    path = f"/mesh/{envelope['id']}/progress"
    pause = {
        "prev": ["a"], "curr": "x-pause", "next": ["b", "c"], "status": "paused",
        "pause_metadata": QUESTION, "pause_id": "p", "checkpoint": envelope,
    }  # fmt: skip
    await gateway.post(path, pause)
    await answered(gateway, envelope["id"], {"ok": True})
    for prev, curr, left in ((["a", "x-pause"], "b", ["c"]), (["a"], "x-pause", ["b", "c"])):
        await gateway.post(path, {"prev": prev, "curr": curr, "next": left, "status": "processing"})
        _, task = await gateway.get(f"/tasks/{envelope['id']}")
        assert (task["route"]["curr"], task["progress_percent"]) == ("b", 62.5)


async def overdue_task(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    """A task whose deadline has passed, which no sweeper notices."""
    monkeypatch.setattr(gateway.running.storage.sweeper, "_overdue", none_found)
    task_id = await gateway.submit()
    await gateway.running.storage.database.execute("UPDATE tasks SET deadline_at = now() WHERE id = $1", task_id)
    return task_id


async def none_found() -> list[Any]:
    return []


@pytest.mark.parametrize("error_class", [None, "runtime"])
async def test_a_failure_that_comes_after_the_deadline_is_the_deadlines(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, error_class: str | None
) -> None:
    task_id = await overdue_task(gateway, monkeypatch)
    final = {"id": task_id, "status": "failed", "error": "Runtime timeout exceeded", "class": error_class}
    assert (await gateway.post(f"/mesh/{task_id}/final", final))[0] == 200
    _, task = await gateway.get(f"/tasks/{task_id}")
    error = task["error"]
    assert (error["class"], error["code"], error["message"]) == (
        "deadline",
        "deadline_exceeded",
        "Runtime timeout exceeded",
    )


async def test_a_result_that_comes_before_the_deadline_was_noticed_still_counts(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await overdue_task(gateway, monkeypatch)
    await gateway.finish(task_id, 1)
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["result"] == 1


async def test_a_question_may_be_the_json_text_that_a_handler_makes(gateway: Gateway) -> None:
    existing = actors(gateway, question=json.dumps(QUESTION), b=same)
    envelope = await submitted(gateway, ["x-pause", "b"], {"n": 1})
    await existing.run(envelope)
    _, task = await gateway.get(f"/tasks/{envelope['id']}")
    assert (task["pause"]["prompt"], task["pause"]["fields"]) == ("Go on?", QUESTION["fields"])
    await existing.run(await answered(gateway, envelope["id"], {"ok": True}))
    assert (await gateway.get(f"/tasks/{envelope['id']}"))[1]["result"] == {"n": 1, "ok": True}


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("{", "pause_metadata: expected an object or its JSON text"),
        ("[1]", "pause_metadata: expected an object {prompt, fields}"),
        ({"fields": [{"name": ""}]}, "pause_metadata.fields[0]: expected an object with a name"),
        ({"schema": {"type": "nonsense"}}, "pause_metadata.schema"),
    ],
)
async def test_a_pause_that_cannot_be_taken_fails_the_task_at_once_with_the_reason(
    gateway: Gateway, question: Any, told: str
) -> None:
    existing = actors(gateway, question=question)
    envelope = await submitted(gateway, ["x-pause", "b"])
    await existing.run(envelope)
    assert existing.reports[-1][2] == 400
    _, task = await gateway.get(f"/tasks/{envelope['id']}")
    error = task["error"]
    assert (task["status"], error["class"], error["details"]["type"]) == ("failed", "runtime", "BadPause")
    assert error["message"].startswith(f"the task cannot pause: {told}")


@pytest.mark.parametrize("route", [["a"], ["a", "b"], ["a", "x-pause", "b"]])
async def test_a_pause_by_the_header_of_an_existing_actor_fails_when_it_pauses(
    gateway: Gateway, route: list[str]
) -> None:
    """Its sidecar forgets the message, so that nobody could go on after an answer."""

    def asks(message: Message) -> Any:
        message["headers"]["x-asya-pause"] = QUESTION
        return message["payload"]

    existing = actors(gateway, a=asks)
    envelope = await submitted(gateway, route)
    await existing.run(envelope)
    _, task = await gateway.get(f"/tasks/{envelope['id']}")
    assert (task["status"], task["error"]["actor"]) == ("failed", "a")
    assert "a pauses by the header x-asya-pause, but its sidecar stores no checkpoint" in task["error"]["message"]


@pytest.mark.parametrize("path", ["/mesh/{}/final", "/api/v1/mesh/{}/events"])
async def test_a_final_that_is_too_large_ends_its_task_with_the_reason(database_url: str, path: str) -> None:
    async with start_gateway(database_url, max_final_bytes=3000, max_fly_bytes=3000) as gateway:
        task_id, bystander = await gateway.submit(), await gateway.submit()
        end: Any = {"status": "succeeded", "result": "x" * 3000}
        if "events" in path:
            end = {"type": "status", "status": "succeeded", "data": end}
        assert (await gateway.post(path.format(task_id), end))[0] == 413
        _, task = await gateway.get(f"/tasks/{task_id}")
        error = task["error"]
        assert (task["status"], error["class"], error["details"]["type"]) == ("failed", "runtime", "ResultTooLarge")
        assert error["message"] == "the gateway rejected the result: expected a body of at most 3000 bytes"
        for live in (f"/mesh/{bystander}/fly", f"/api/v1/mesh/{bystander}/events"):
            assert (await gateway.post(live, {"type": "fly", "data": {"token": "x" * 3000}}))[0] == 413
        assert (await gateway.get(f"/tasks/{bystander}"))[1]["status"] == "pending"


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ({"status": "succeeded", "attempts": "many"}, "failed"),
        ('{"status":"succeeded","result":NaN}', "failed"),
        ({"status": "succeeded", "id": "another"}, "pending"),
        ({"status": "waiting"}, "pending"),
    ],
)
async def test_a_final_that_cannot_be_kept_is_an_end_where_it_says_so(gateway: Gateway, end: Any, status: str) -> None:
    task_id = await gateway.submit()
    assert (await gateway.post(f"/mesh/{task_id}/final", end))[0] == 400
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["status"] == status


@pytest.mark.parametrize("path", ["/mesh/{}/final", "/mesh/{}/progress"])
async def test_a_report_that_is_cut_on_its_way_ends_nothing_since_it_may_come_again(
    gateway: Gateway, path: str
) -> None:
    task_id = await gateway.submit()
    await broken_off(gateway, path.format(task_id), b'{"status": "succeeded", "pause_metadata": {"prompt": "')
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["status"] == "pending"
    await gateway.finish(task_id, 1)
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["result"] == 1


FINAL, EVENTS = "/mesh/{}/final", "/api/v1/mesh/{}/events"
HALF = b'{"type":"status","status":"succeeded","data":{"result":"'
INCOMPLETE = "SELECT count(*) FROM incomplete_finals"


async def incomplete_finals(gateway: Gateway) -> int:
    """How many tasks wait for another."""
    return int(await gateway.running.storage.database.fetchval(INCOMPLETE))


async def grace_is_over(gateway: Gateway) -> None:
    """Move the incomplete reports five minutes into the past."""
    storage, ago = gateway.running.storage, "- interval '300 seconds'"
    await storage.database.execute(f"UPDATE incomplete_finals SET arrived_at = arrived_at {ago}, due_at = due_at {ago}")
    await storage.incomplete.expire(storage.tasks.finish)
    await until(lambda: nothing_incomplete(gateway))


async def nothing_incomplete(gateway: Gateway) -> bool:
    return await incomplete_finals(gateway) == 0


@pytest.mark.parametrize("half_open", [True, False])
@pytest.mark.parametrize(("path", "body"), [(FINAL, b'{"id":"'), ("/tasks/{}/final", b"{"), (EVENTS, HALF)])
async def test_a_final_that_breaks_off_and_is_not_repeated_fails_its_task(
    gateway: Gateway, path: str, body: bytes, half_open: bool
) -> None:
    """An existing sidecar ends its request after five seconds, acknowledges its message and never reports again."""
    task_id = await gateway.submit()
    await broken_off(gateway, path.format(task_id), body, half_open=half_open)
    await until(lambda: incomplete_finals(gateway))
    await broken_off(gateway, path.format("somebody-elses"), body, half_open=half_open)
    storage = gateway.running.storage
    assert await storage.incomplete.expire(storage.tasks.finish) == 0
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["status"] == "pending"
    await grace_is_over(gateway)
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["error"]["class"], task["error"]["code"]) == ("failed", "runtime", "result_incomplete")
    assert task["message"] == "The final report arrived incompletely and was not repeated within 300 s"


async def test_a_final_that_broke_off_and_comes_again_counts(gateway: Gateway) -> None:
    """As after the sidecar's crash, when its message is delivered again."""
    task_id = await gateway.submit()
    await broken_off(gateway, FINAL.format(task_id), b"{")
    await until(lambda: incomplete_finals(gateway))
    await gateway.finish(task_id, 1)
    await grace_is_over(gateway)
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["result"] == 1


@pytest.mark.parametrize(
    ("path", "body", "agent"),
    [
        (FINAL, b"{", "asya-actor"),
        (FINAL, b"{", "Python/3.11 aiohttp/3.12.0"),
        ("/mesh/{}/progress", b'{"status":"completed"', "Go-http-client/1.1"),
        ("/mesh/{}/fly", b"{", "Go-http-client/1.1"),
        (EVENTS, b'{"type":"status","status":"completed","data":{"', "Go-http-client/1.1"),
    ],
)
async def test_a_report_that_is_not_an_end_or_will_be_repeated_waits_as_long_as_its_task(
    gateway: Gateway, path: str, body: bytes, agent: str
) -> None:
    task_id, ending = await gateway.submit(), await gateway.submit()
    await broken_off(gateway, path.format(task_id), body, agent=agent)
    await broken_off(gateway, FINAL.format(ending), b"{", agent="Go-http-client/1.1")
    await until(lambda: incomplete_finals(gateway))
    await grace_is_over(gateway)
    ended, waiting = [(await gateway.get(f"/tasks/{each}"))[1]["status"] for each in (ending, task_id)]
    assert (ended, waiting) == ("failed", "pending")


DEEP = f'{{"prompt":"?","data":{"[" * 600}{"]" * 600}}}'


@pytest.mark.parametrize(
    ("path", "report"),
    [
        ("/mesh/{}/progress", f'{{"status":"completed","pause_metadata":{DEEP}}}'),
        ("/tasks/{}/progress", '{"status":"completed","pause_metadata":{"prompt":NaN}}'),
        (EVENTS, f'{{"type":"status","status":"completed","data":{{"pause_metadata":{DEEP}}}}}'),
    ],
)
async def test_a_pause_that_cannot_be_decoded_fails_its_task(gateway: Gateway, path: str, report: str) -> None:
    task_id = await gateway.submit()
    assert (await gateway.post(path.format(task_id), report))[0] == 400
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["error"]["details"]["type"]) == ("failed", "BadPause")


HUGE = f'{{"payload":"{"x" * 10_500_000}"}}'
ROUTED = '"prev":["a"],"curr":"x-resume","next":[]'


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize(
    ("path", "report", "ends"),
    [
        ("/mesh/{}/progress", f'{{"status":"paused",{ROUTED},"checkpoint":{HUGE}}}', True),
        ("/tasks/{}/progress", f'{{"status":"completed",{ROUTED},"pause_metadata":{HUGE}}}', True),
        ("/mesh/{}/progress", f'{{{ROUTED},"pause_metadata":{{}},"checkpoint":{HUGE}}}', True),
        ("/mesh/{}/progress", f'{{{ROUTED},"checkpoint":{HUGE},"pause_metadata":{{}},"status":"completed"}}', True),
        (EVENTS, f'{{"type":"status","status":"completed","data":{{"pause_metadata":{HUGE}}}}}', True),
        (
            EVENTS,
            f'{{"type":"status","status":"completed","data":{{"checkpoint":{HUGE},"pause_metadata":{{}}}}}}',
            True,
        ),
        ("/mesh/{}/progress", f'{{"status":"processed","frames":[{{"pause_metadata":{{}},"payload":{HUGE}}}]}}', False),
        (EVENTS, f'{{"type":"fly","data":{{"pause_metadata":{HUGE}}}}}', False),
    ],
    ids=["status", "question", "checkpoint", "behind", "unified", "unified, behind", "frames", "live event"],
)
async def test_a_pause_that_is_too_large_to_be_read_fails_its_task_and_nothing_else_does(
    gateway: Gateway, path: str, report: str, ends: bool, chunked: bool
) -> None:
    task_id = await gateway.submit()
    body = report.encode()

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1_000_000):
            yield body[start : start + 1_000_000]

    # The answer comes before the body has been sent, so that the client may see its connection closed.
    with contextlib.suppress(aiohttp.ClientError):
        data: Any = parts() if chunked else io.BytesIO(body)
        headers = {"Content-Type": "application/json"}
        async with gateway.session.post(gateway.url + path.format(task_id), data=data, headers=headers) as response:
            assert response.status == 413
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert task["status"] == ("failed" if ends else "pending")
    if ends:
        assert task["error"]["details"]["type"] == "BadPause"
        assert "expected a body of at most" in task["error"]["message"]


async def test_a_checkpoint_with_too_many_values_fails_its_task(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    values = "[" + "[]," * 1_100_000 + "[]]"
    report = f'{{"status":"paused",{ROUTED},"pause_metadata":{{}},"checkpoint":{{"payload":{values}}}}}'
    async with gateway.session.post(
        f"{gateway.url}/mesh/{task_id}/progress", data=io.BytesIO(report.encode())
    ) as response:
        assert response.status == 413
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["error"]["details"]["type"]) == ("failed", "BadPause")
    assert "at most 1000000 values" in task["error"]["message"]


@pytest.mark.parametrize(
    ("path", "report"),
    [
        ("/mesh/{}/progress", '{"status":"completed","message":NaN}'),
        ("/mesh/{}/fly", f'{{"pause_metadata":{DEEP}}}'),
        (EVENTS, f'{{"type":"fly","data":{{"pause_metadata":{DEEP}}}}}'),
    ],
)
async def test_another_report_that_cannot_be_decoded_ends_nothing(gateway: Gateway, path: str, report: str) -> None:
    task_id = await gateway.submit()
    assert (await gateway.post(path.format(task_id), report))[0] == 400
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["status"] == "pending"


async def test_a_failed_handler_is_told_by_its_details(gateway: Gateway) -> None:
    """`error` is then the bare word processing_error."""

    def fails(message: Message) -> Any:
        raise ValueError("no such city")

    existing = actors(gateway, a=fails)
    envelope = await submitted(gateway, ["a", "b"])
    await existing.run(envelope)
    _, task = await gateway.get(f"/tasks/{envelope['id']}")
    error = task["error"]
    assert (error["message"], error["code"], error["class"]) == ("no such city", "actor_error", "business")
    assert (task["message"], error["details"]["type"]) == ("no such city", "ValueError")


async def test_a_fan_outs_children_do_not_succeed_with_their_parent(gateway: Gateway) -> None:
    existing = actors(gateway, split=lambda _: Fanout([1, 2, 3]), work=same)
    envelope = await submitted(gateway, ["split", "work"])
    await existing.run(envelope)
    _, listed = await gateway.get(f"/tasks?parent_id={envelope['id']}")
    assert [task["status"] for task in listed["tasks"]] == ["running", "running"]
    assert (await gateway.get(f"/tasks/{envelope['id']}"))[1]["result"] == 1


async def test_progress_reads_100_only_at_the_end(gateway: Gateway) -> None:
    read: list[float] = []

    async def post(path: str, body: Any) -> tuple[int, Any]:
        answer = await gateway.post(path, body)
        read.append((await gateway.get(f"/tasks/{envelope['id']}"))[1]["progress_percent"])
        return answer

    envelope = await submitted(gateway, ["a", "b"])
    await ExistingActors(post, {"a": same, "b": same}).run(envelope)
    assert read == [5.0, 25.0, 50.0, 55.0, 75.0, 100.0, 100.0]


async def test_a_pause_over_the_limit_of_reports_fails_the_task(database_url: str) -> None:
    async with start_gateway(database_url, max_report_bytes=1024) as gateway:
        task_id = await gateway.submit()
        pause = {"status": "completed", "pause_metadata": {"prompt": "x" * 1024}}
        assert (await gateway.post(f"/mesh/{task_id}/progress", pause))[0] == 413
        error = (await gateway.get(f"/tasks/{task_id}"))[1]["error"]
        assert error["message"] == "the task cannot pause: expected a body of at most 1024 bytes"


async def test_sidecars_of_the_older_dialect_report_below_tasks(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    async with gateway.stream(f"/stream/{task_id}") as reader:
        body = {"actors": ["first", "second"], "current_actor_idx": 0, "status": "completed"}
        assert await gateway.post(f"/tasks/{task_id}/progress", body) == (
            200,
            {"status": "ok", "progress_percent": 50.0},
        )
        for word in ("partial", "upstream"):
            assert (await gateway.post(f"/tasks/{task_id}/{word}", {"token": "x"}))[0] == 200
        end = {"id": task_id, "status": "succeeded", "result": 7}
        assert await gateway.post(f"/tasks/{task_id}/final", end) == (200, {"status": "ok"})
        events = await reader.all()
    assert {event.name for event in events} == {"update", "partial"}
    assert events[-1].data["result"] == 7
    assert (await gateway.post("/tasks/nobody/final", {"status": "succeeded"}))[0] == 200


class TestTheEndOfAChildThatComesAfterItsGrace:
    """Its parent has succeeded, nobody reported its end in time, and the gateway has assumed one."""

    @pytest.fixture
    async def child(self, gateway: Gateway) -> str:
        parent = await gateway.submit()
        await gateway.post("/mesh", {"id": "c", "parent_id": parent, "prev": ["first"], "curr": "second"})
        await gateway.finish(parent)
        database = gateway.running.storage.database
        await database.execute(
            "UPDATE tasks SET finished_at = finished_at - interval '1 h', updated_at = updated_at - interval '1 h'"
        )
        assert await gateway.running.storage.sweeper.sweep_orphans() == 1
        _, task = await gateway.get("/tasks/c")
        assert (task["status"], task["error"]["code"]) == ("canceled", "end_not_reported")
        return "c"

    async def log_of(self, gateway: Gateway, task_id: str) -> list[tuple[str, str]]:
        assert await gateway.running.seqs(task_id) == [1, 2]
        async with gateway.stream(f"/stream/{task_id}") as reader:
            return [(event.name, event.data["status"]) for event in await reader.all()]

    async def test_a_success_is_the_childs_end_once(self, gateway: Gateway, child: str) -> None:
        for result in (7, 8):
            final = {"id": child, "status": "succeeded", "result": result}
            assert await gateway.post(f"/mesh/{child}/final", final) == (200, {"status": "ok"})
        assert (await gateway.post(f"/mesh/{child}/final", {"status": "failed", "error": "no"}))[0] == 200
        _, task = await gateway.get(f"/tasks/{child}")
        assert (task["status"], task["result"], task["error"]) == ("succeeded", 7, None)
        assert task["progress_percent"] == 100
        assert [status for _, status in await self.log_of(gateway, child)][-1] == "succeeded"
        for status, ids in (("succeeded", [child]), ("canceled", [])):
            _, page = await gateway.get(f"/tasks?status={status}&parent_id={task['parent_id']}")
            assert [each["id"] for each in page["tasks"]] == ids

    async def test_a_failure_is_the_childs_end_with_its_own_reason(self, gateway: Gateway, child: str) -> None:
        details = {"message": "it broke", "type": "ValueError", "nul": "\0"}
        failure = {"status": "failed", "error": "processing_error", "error_details": details}
        assert (await gateway.post(f"/mesh/{child}/final", failure))[0] == 200
        _, task = await gateway.get(f"/tasks/{child}")
        assert (task["status"], task["error"]["message"], task["error"]["class"]) == ("failed", "it broke", "business")
        assert [status for _, status in await self.log_of(gateway, child)][-1] == "failed"
        assert (await gateway.post(f"/mesh/{child}/final", {"status": "succeeded"}))[0] == 200
        assert (await gateway.get(f"/tasks/{child}"))[1]["status"] == "failed"

    async def test_a_failure_after_the_deadline_is_the_deadlines(self, gateway: Gateway, child: str) -> None:
        await gateway.running.storage.database.execute("UPDATE tasks SET deadline_at = now() WHERE id = $1", child)
        assert (await gateway.post(f"/mesh/{child}/final", {"status": "failed", "error": "no"}))[0] == 200
        assert (await gateway.get(f"/tasks/{child}"))[1]["error"]["class"] == "deadline"

    async def test_two_at_once_give_it_one_end(self, gateway: Gateway, child: str) -> None:
        ends = ({"status": "succeeded", "result": 1}, {"status": "failed", "error": "no"})
        answers = await asyncio.gather(*(gateway.post(f"/mesh/{child}/final", end) for end in ends * 3))
        assert [status for status, _ in answers] == [200] * 6
        _, task = await gateway.get(f"/tasks/{child}")
        assert (task["status"] == "succeeded") is (task["error"] is None)
        assert [status for _, status in await self.log_of(gateway, child)] == ["pending", task["status"]]

    async def test_a_canceled_child_stays_canceled(self, gateway: Gateway) -> None:
        parent = await gateway.submit()
        await gateway.post("/mesh", {"id": "c", "parent_id": parent, "prev": ["first"], "curr": "second"})
        assert (await gateway.post("/tasks/c/cancel"))[0] == 200
        assert (await gateway.post("/mesh/c/final", {"status": "succeeded", "result": 1}))[0] == 200
        assert (await gateway.get("/tasks/c"))[1]["status"] == "canceled"

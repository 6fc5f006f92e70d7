"""POST /mesh/hops/reports: the reports of many hops, each taken and answered by itself."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from asya_crds import jsontext
from asya_crds.hop_reports import MOST_PARTS
from asya_gateway.protocols.mesh.reports import MOST_REPORTS
from tests.support.gateway import Gateway, start_gateway
from tests.support.gateway import send as stream
from tests.support.hops import declare, queues, taken

PATH = "/mesh/hops/reports"
QUEUES = {"transport": "postgres", "namespace": "default"}
ROUTE: dict[str, Any] = {"prev": [], "curr": "first", "next": ["second", "third"]}
CLAIM = {"hop": "0", "attempt": 1, "claimant": "me"}
ENDED, REFUSED = {"outcome": "ended"}, {"outcome": "refused"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, embedded=True) as made:
        await declare(made.running, "first", "second", "third", "x-sink", "x-sump")
        yield made


def begin(task_id: str, **more: Any) -> dict[str, Any]:
    return {"kind": "begin", "id": task_id, **ROUTE, "claim": CLAIM, "message_size_kb": 0.5, **more}


def end(task_id: str, *sends: dict[str, Any], **more: Any) -> dict[str, Any]:
    log = {"message": "Completed processing in 3ms", "duration_ms": 3}
    sent = list(sends) or [send(task_id)]
    return {"kind": "end", "id": task_id, **ROUTE, "claim": CLAIM, "log": log, "sends": sent, **more}


def send(task_id: str, to: str = "second", **more: Any) -> dict[str, Any]:
    return {"to": to, "id": task_id, "head": jsontext.dumps({"id": task_id}), "payload": '{"n":1}', **more}


async def report(gateway: Gateway, *reports: Any, queues: Any = QUEUES) -> list[Any]:
    status, body = await gateway.post(PATH, {"queues": queues, "reports": list(reports)})
    assert status == 200, body
    answers: list[Any] = body["answers"]
    assert len(answers) == len(reports)
    return answers


async def delivered(gateway: Gateway) -> tuple[str, dict[str, Any]]:
    """A task whose message was taken."""
    task_id = await gateway.submit("shout", {"text": "hi"})
    ack = await taken(gateway.running, "first")
    return task_id, {"message": ack.message, "receipt": ack.receipt}


async def test_a_hop_begins_lives_and_ends(gateway: Gateway) -> None:
    task_id, ack = await delivered(gateway)
    [begun] = await report(gateway, begin(task_id))
    assert begun.pop("remaining_seconds") > 0
    assert begun == {"action": "go", "known": True, "lease_seconds": 15.0}
    [alive] = await report(gateway, {"kind": "alive", "id": task_id, **ROUTE, "claim": CLAIM})
    assert (alive["action"], alive["known"], alive["lease_seconds"]) == ("go", True, 15.0)
    child = {"parent_id": task_id, "prev": ["first"], "curr": "third", "next": []}
    assert await report(gateway, end(task_id, send(task_id), send("a-child", "third", child=child), ack=ack)) == [ENDED]
    assert await queues(gateway.running) == [("second", task_id), ("third", "a-child")]
    bodies = await gateway.running.storage.database.fetch("SELECT convert_from(body, 'UTF8') AS b FROM queue_messages")
    assert jsontext.loads(bodies[0]["b"]) == {"id": task_id, "payload": {"n": 1}}
    _, task = await gateway.get(f"/mesh/{task_id}")
    assert (task["status"], task["progress_percent"], task["route"]) == ("running", 33.3, ROUTE)
    kinds = ["created", "progress", "progress", "progress"]
    assert await gateway.running.kinds(task_id) == kinds
    [lost] = await report(gateway, {"kind": "alive", "id": task_id, **ROUTE, "claim": CLAIM})
    assert lost["action"] == "done"
    assert await gateway.running.kinds(task_id) == kinds
    _, child_task = await gateway.get("/mesh/a-child")
    assert (child_task["parent_id"], child_task["status"]) == (task_id, "pending")


async def test_answers_are_in_the_order_of_the_reports_and_a_wrong_one_refuses_only_itself(gateway: Gateway) -> None:
    one, ack = await delivered(gateway)
    two, _ = await delivered(gateway)
    three, _ = await delivered(gateway)
    await report(gateway, begin(one))
    answers = await report(
        gateway,
        begin("nobody"),
        begin(two, claim={**CLAIM, "hop": -1}),
        "no report",
        {"kind": "newer", "id": one},
        end(one, send(one, "Not an actor"), ack=ack),
        end(two),
        end(one, ack=ack),
        begin(three),
    )
    assert answers[0] == {"action": "go", "known": False}
    assert answers[1]["error"]["status"] == 400
    assert answers[1]["error"]["field"] == "claim.hop"
    assert answers[2] == {"error": {"status": 400, "message": "expected an object {kind, …}"}}
    assert answers[3]["error"] == {
        "status": 400,
        "message": "expected one of begin, end, part, alive",
        "field": "kind",
    }
    assert answers[4]["error"]["field"] == "sends[0].to"
    assert answers[5:7] == [REFUSED, ENDED]
    assert answers[7]["action"] == "go"
    assert [each for each in await queues(gateway.running) if each[0] == "second"] == [("second", one)]


async def test_a_report_whose_task_stays_locked_is_to_be_repeated_and_the_others_are_taken(
    gateway: Gateway, database_url: str
) -> None:
    both = [await delivered(gateway) for _ in range(3)]
    await report(gateway, *(begin(task_id) for task_id, _ in both))
    stuck = await asyncpg.connect(database_url)
    try:
        locking = stuck.transaction()
        await locking.start()
        await stuck.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", both[1][0])
        ends = [end(task_id, ack=ack) for task_id, ack in both]
        answers = await report(gateway, *ends)
        assert [answers[0], answers[2]] == [ENDED, ENDED]
        assert (answers[1]["error"]["status"], answers[1]["error"]["retry_after"]) == (503, 1)
        await locking.rollback()
        assert await report(gateway, *ends) == [ENDED] * 3
    finally:
        await stuck.close()


@pytest.mark.parametrize(
    "other",
    [{"transport": "rabbitmq"}, {"namespace": "other"}, {"place": "elsewhere"}],
    ids=["transport", "namespace", "place"],
)
async def test_with_other_queues_the_worker_sends_and_nothing_changes(gateway: Gateway, other: dict[str, str]) -> None:
    task_id, ack = await delivered(gateway)
    begun, ended = await report(gateway, begin(task_id), end(task_id, ack=ack), queues={**QUEUES, **other})
    assert (begun["action"], ended) == ("go", {"outcome": "yours", "reason": "queues"})
    assert await gateway.running.kinds(task_id) == ["created", "progress", "progress"]
    assert await queues(gateway.running) == [("first", task_id)]


async def test_an_undeclared_queue_and_a_wrong_receipt_are_the_workers(gateway: Gateway) -> None:
    task_id, ack = await delivered(gateway)
    await report(gateway, begin(task_id))
    undeclared, unreceipted, unknown = await report(
        gateway, end(task_id, send(task_id, "nowhere"), ack=ack), end(task_id), end("nobody", ack=ack)
    )
    assert undeclared == {"outcome": "yours", "reason": "undeclared"}
    assert unreceipted == {"outcome": "yours", "reason": "receipt"}
    assert unknown == {"outcome": "yours", "reason": "unknown"}


async def test_too_many_or_too_large_envelopes_are_the_workers(database_url: str) -> None:
    async with start_gateway(database_url, embedded=True, max_final_bytes=100_000) as gateway:
        task_id, ack = await delivered(gateway)
        await report(gateway, begin(task_id))
        large = end(task_id, send(task_id, payload=jsontext.dumps("x" * 170_000)), ack=ack)
        many = end(task_id, *({} for _ in range(4097)), ack=ack)
        assert await report(gateway, large, many) == [{"outcome": "yours", "reason": "too_large"}] * 2


async def test_an_end_that_exceeds_one_report_comes_in_parts(gateway: Gateway) -> None:
    task_id, ack = await delivered(gateway)
    await report(gateway, begin(task_id))
    parts = []
    for number in range(2):
        child = {"parent_id": task_id, "prev": ["first"], "curr": "third", "next": []}
        sends = [send(f"{task_id}-{number}", "third", child=child)]
        parts.append({"kind": "part", "id": task_id, "claim": CLAIM, "part": number, "sends": sends})
    assert [await report(gateway, each) for each in parts] == [[{"outcome": "kept"}]] * 2
    assert await report(gateway, end(task_id, parts=3, ack=ack)) == [{"outcome": "yours", "reason": "parts"}]
    assert await report(gateway, end(task_id, parts=2, ack=ack)) == [ENDED]
    assert await queues(gateway.running) == [
        ("third", f"{task_id}-0"),
        ("third", f"{task_id}-1"),
        ("second", task_id),
    ]
    wrong, other, many = await report(
        gateway,
        {**parts[0], "part": -1},
        {**parts[0], "part": MOST_PARTS},
        end(task_id, parts=MOST_PARTS + 1, ack=ack),
    )
    assert wrong["error"]["field"] == "part"
    assert [other, many] == [{"outcome": "yours", "reason": "too_large"}] * 2
    [refused] = await report(gateway, parts[0])
    assert refused == REFUSED


async def test_a_success_is_written_with_its_end_once_a_crew_without_hooks_is_announced(gateway: Gateway) -> None:
    crew = "/mesh/crews/heartbeat"
    ends = {"send": 0, "actor": "third"}
    for hooks, sent in ((None, True), (False, False), (True, True)):
        if hooks is not None:
            answer = await gateway.post(crew, {"name": "a-crew", "sink": "x-sink", "hooks": hooks})
            assert answer == (200, {"status": "ok", "every_seconds": 5.0})
        task_id, ack = await delivered(gateway)
        await report(gateway, begin(task_id))
        result = send(task_id, "x-sink", payload='{"n":1.50}')
        assert await report(gateway, end(task_id, result, ends=ends, ack=ack)) == [ENDED]
        assert (("x-sink", task_id) in await queues(gateway.running)) is sent
        _, task = await gateway.get(f"/tasks/{task_id}")
        assert (task["status"], task["result"]) == (("running", None) if sent else ("succeeded", {"n": 1.5}))
    assert (await gateway.post(crew, {"name": "a-crew", "leaving": True}))[0] == 200
    assert await gateway.running.storage.database.fetchval("SELECT count(*) FROM crews") == 0
    status, answer = await gateway.post(crew, {"name": "a-crew", "hooks": "no"})
    assert (status, answer["error"]["field"]) == (400, "hooks")


@pytest.mark.parametrize(
    "payload",
    ["{", jsontext.dumps("x" * 65536), "[" * 101 + "]" * 101, "1e999", "[" + ",".join(["1"] * 25_000) + "]"],
    ids=["no JSON", "large", "deep", "a number out of range", "many values"],
)
async def test_a_result_that_a_report_could_not_have_or_that_is_large_goes_to_x_sink(
    gateway: Gateway, payload: str
) -> None:
    await gateway.post("/mesh/crews/heartbeat", {"name": "a-crew", "hooks": False})
    task_id, ack = await delivered(gateway)
    await report(gateway, begin(task_id))
    result = send(task_id, "x-sink", payload=payload)
    assert await report(gateway, end(task_id, result, ends={"send": 0}, ack=ack)) == [ENDED]
    [body] = await gateway.running.storage.database.fetch(
        "SELECT queue, convert_from(body, 'UTF8') AS b FROM queue_messages"
    )
    assert body["queue"] == "asya-default-x-sink"
    assert body["b"].endswith(f',"payload":{payload}}}')


async def test_a_success_that_is_not_the_tasks_own_envelope_is_refused(gateway: Gateway) -> None:
    task_id, ack = await delivered(gateway)
    await report(gateway, begin(task_id))
    child = {"parent_id": task_id, "prev": ["first"], "curr": "third", "next": []}
    answers = await report(
        gateway,
        end(task_id, ends={"send": 1}, ack=ack),
        end(task_id, send("other", "x-sink"), ends={"send": 0}, ack=ack),
        end(task_id, send("c", "x-sink", child=child), ends={"send": 0}, ack=ack),
    )
    assert [each["error"]["field"] for each in answers] == ["ends.send"] * 3


async def test_a_child_that_is_its_own_parent_or_comes_twice_is_refused(gateway: Gateway) -> None:
    task_id, ack = await delivered(gateway)
    await report(gateway, begin(task_id))
    child = {"parent_id": "c", "prev": ["first"], "curr": "third", "next": []}
    own, word, twice = await report(
        gateway,
        end(task_id, send("c", child=child), ack=ack),
        end(task_id, send("registry", child=child), ack=ack),
        end(task_id, send("d", child=child), send("d", "third", child=child), ack=ack),
    )
    assert [each["error"]["field"] for each in (own, word, twice)] == [
        "sends[0].child.parent_id",
        "sends[0].id",
        "sends",
    ]


async def test_a_hop_that_is_done_is_answered_with_the_frames_it_left(gateway: Gateway) -> None:
    task_id, _ = await delivered(gateway)
    await report(gateway, begin(task_id))
    frames = [{"id": task_id, "n": 1.50}]
    body = {**ROUTE, "status": "processed", "claim": CLAIM, "frames": frames}
    assert (await gateway.post(f"/mesh/{task_id}/progress", body))[0] == 200
    [done] = await report(gateway, begin(task_id, claim={**CLAIM, "claimant": "other"}))
    assert (done["action"], done["frames"]) == ("done", frames)


@pytest.mark.parametrize("depth", [200, 900])
async def test_values_that_are_nested_deeply_are_refused_like_any_other(gateway: Gateway, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    named = jsontext.dumps(QUEUES)
    for report_text in (
        f'{{"kind":{deep}}}',
        f'{{"kind":"begin","id":{deep}}}',
        f'{{"kind":"end","sends":{deep}}}',
        deep,
    ):
        status, body = await gateway.post(PATH, f'{{"queues":{named},"reports":[{report_text}]}}')
        assert (status, body["answers"][0]["error"]["status"]) == (200, 400), report_text[:40]
    task_id, _ = await delivered(gateway)
    unknown = jsontext.dumps(begin(task_id))[:-1] + f',"newer":{deep}}}'
    status, body = await gateway.post(PATH, f'{{"queues":{named},"reports":[{unknown}]}}')
    assert body["answers"][0]["action"] == "go"
    assert (await gateway.post(PATH, f'{{"queues":{"[" * 100_000}'))[0] == 400


async def test_a_request_that_cannot_be_read_is_refused_as_a_whole(database_url: str) -> None:
    async with start_gateway(database_url, max_final_bytes=1024) as gateway:
        for body, field in (
            ({"reports": []}, "queues"),
            ({"queues": {"transport": "postgres"}, "reports": []}, "queues.namespace"),
            ({"queues": QUEUES}, "reports"),
            ({"queues": QUEUES, "reports": {}}, "reports"),
        ):
            status, answer = await gateway.post(PATH, body)
            assert (status, answer["error"]["field"]) == (400, field)
        assert (await gateway.post(PATH, "{"))[0] == 400
        assert (await gateway.post(PATH, "[]"))[0] == 400
        many = {"queues": QUEUES, "reports": [1] * (MOST_REPORTS + 1)}
        assert (await gateway.post(PATH, many))[0] == 413
        assert (await stream(gateway, PATH, b" " * (1024 * 1024 + 2 * 1024 + 1)))[0] == 413
        assert (await gateway.get(PATH))[0] == 405
        assert (await gateway.post(PATH, {"queues": QUEUES, "reports": []})) == (200, {"answers": []})


async def test_a_worker_is_offered_it_in_the_answer_to_the_claim_of_a_hop_alone(gateway: Gateway) -> None:
    task_id, _ = await delivered(gateway)
    path = f"/mesh/{task_id}/progress"
    for body, offered in (
        ({"status": "received"}, None),
        ({"status": "received", "claim": CLAIM}, {"rows": 256, "bytes": 1024 * 1024}),
        ({"status": "processing", "claim": CLAIM}, None),
        ({"status": "completed", "claim": CLAIM}, None),
    ):
        _, answer = await gateway.post(path, {**ROUTE, **body})
        assert answer.get("batch") == offered, body


async def test_with_a_broker_envelopes_of_the_same_virtual_host_and_exchange_go_through_the_outbox(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYA_RABBITMQ_URL", "amqp://localhost/a-host")
    async with start_gateway(database_url, transport="rabbitmq") as gateway:
        task_id = await gateway.submit("shout", {"text": "hi"})
        gateway.running.handed.clear()
        mine = {"transport": "rabbitmq", "namespace": "default", "place": "a-host/asya"}
        await report(gateway, begin(task_id), queues=mine)
        other = {**mine, "place": "another-host/asya"}
        assert await report(gateway, end(task_id), queues=other) == [{"outcome": "yours", "reason": "queues"}]
        assert await report(gateway, end(task_id), queues=mine) == [ENDED]
        [entry] = gateway.running.handed
        assert (entry.actor, entry.task_id, entry.sump) == ("second", task_id, "x-sump")

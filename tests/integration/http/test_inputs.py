"""Pauses with several inputs, declines and URLs, over REST and the mesh."""

import asyncio
from typing import Any

import pytest

from asya_crds import jsontext
from tests.support.gateway import Gateway
from tests.support.inputs import ALL_KINDS, FOLDERS, LISTED, NAME, SAMPLED, pause_body

FORM = {"prompt": "Go on?", "fields": [{"name": "ok", "type": "boolean", "payload_key": "/order/ok"}]}


async def asked(gateway: Gateway, question: dict[str, Any], payload: Any = None, **changes: Any) -> str:
    """A task that waits for an answer to this question."""
    task_id = await gateway.submit()
    status, answer = await gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, question, payload, **changes))
    assert status == 200, answer
    return task_id


async def answer(gateway: Gateway, task_id: str, body: dict[str, Any], **options: Any) -> tuple[int, Any]:
    return await gateway.post(f"/tasks/{task_id}/resume", body, **options)


async def task_of(gateway: Gateway, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = (await gateway.get(f"/tasks/{task_id}"))[1]
    return task


def resumed_payload(gateway: Gateway) -> Any:
    """The payload with which x-resume sends the task on."""
    envelope = jsontext.loads(gateway.running.handed[-1].body)
    return envelope["headers"]["x-asya-resume-checkpoint"]["payload"]


class TestSeveralInputs:
    async def test_each_is_answered_alone_in_any_order_and_the_last_answer_resumes_the_task(
        self, gateway: Gateway
    ) -> None:
        task_id = await asked(gateway, {"inputs": ALL_KINDS}, {"n": 1})
        waiting = await task_of(gateway, task_id)
        assert (waiting["status"], waiting["pause"]["inputs"]) == (
            "paused",
            ALL_KINDS | {"folders": FOLDERS | {"params": {}}},
        )
        assert waiting["pause"]["prompt"] == "Who are you?"
        told: list[tuple[str, dict[str, Any]]] = [
            ("folders", {"answer": LISTED}),
            ("sign_in", {"action": "accept"}),
            ("name", {"answer": {"name": "Ada"}}),
            ("summary", {"answer": SAMPLED}),
        ]
        for number, (key, body) in enumerate(told, start=1):
            status, task = await answer(gateway, task_id, {"key": key, **body})
            assert status == 200, task
            if number < len(told):
                assert (task["status"], len(gateway.running.handed)) == ("paused", 1)
                assert set(task["pause"]["inputs"]) == set(ALL_KINDS) - {key for key, _ in told[:number]}
        task = await task_of(gateway, task_id)
        assert (task["status"], task["pause"]) == ("running", None)
        assert resumed_payload(gateway) == {
            "n": 1,
            "name": {"action": "accept", "content": {"name": "Ada"}},
            "summary": SAMPLED,
            "folders": LISTED,
            "sign_in": {"action": "accept"},
        }
        assert await gateway.running.kinds(task_id) == ["created", "paused", *["answered"] * 3, "resumed"]

    async def test_an_answer_goes_to_the_place_in_the_payload_that_its_input_names(self, gateway: Gateway) -> None:
        inputs = {"name": NAME | {"payload_key": "/who/answer"}, "folders": FOLDERS}
        task_id = await asked(gateway, {"inputs": inputs}, {"who": {"id": 2**70}})
        await answer(gateway, task_id, {"key": "folders", "answer": LISTED})
        await answer(gateway, task_id, {"key": "name", "answer": {"name": "Ada"}})
        accepted = {"action": "accept", "content": {"name": "Ada"}}
        assert resumed_payload(gateway) == {"who": {"id": 2**70, "answer": accepted}, "folders": LISTED}

    async def test_a_crew_that_keeps_its_own_checkpoints_gets_the_answers_by_key(self, gateway: Gateway) -> None:
        route = {"prev": ["first", "x-pause"], "curr": "x-resume", "next": ["second"]}
        inputs = {"name": NAME, "folders": FOLDERS}
        body = pause_body("", {"inputs": inputs}, status="completed", **route)
        del body["checkpoint"]
        task_id = await gateway.submit()
        assert (await gateway.post(f"/mesh/{task_id}/progress", body))[0] == 200
        await answer(gateway, task_id, {"key": "folders", "answer": LISTED})
        await answer(gateway, task_id, {"answer": {"name": "Ada"}})
        envelope = jsontext.loads(gateway.running.handed[-1].body)
        assert envelope["payload"] == {
            "name": {"action": "accept", "content": {"name": "Ada"}},
            "folders": LISTED,
        }

    async def test_an_answer_without_a_key_names_the_open_ones_while_there_are_several(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": {"name": NAME, "folders": FOLDERS}})
        refused = await answer(gateway, task_id, {"answer": {"name": "Ada"}})
        assert refused[0] == 400
        assert refused[1]["error"]["field"] == "key"
        assert refused[1]["error"]["message"] == "expected the key of one of the open inputs: name, folders"
        await answer(gateway, task_id, {"key": "folders", "answer": LISTED})
        assert (await answer(gateway, task_id, {"answer": {"name": "Ada"}}))[1]["status"] == "running"

    async def test_an_unknown_key_is_400_and_an_answered_one_409(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": {"name": NAME, "folders": FOLDERS}})
        status, refused = await answer(gateway, task_id, {"key": "other", "answer": 1})
        assert (status, refused["error"]["message"]) == (400, "expected the key of an open input: name, folders")
        body = {"key": "folders", "answer": LISTED}
        assert (await answer(gateway, task_id, body))[0] == 200
        status, refused = await answer(gateway, task_id, body)
        assert (status, refused["error"]["field"]) == (409, "key")

    async def test_an_answer_of_the_wrong_shape_is_refused_and_the_input_stays_open(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": ALL_KINDS})
        wrong: list[tuple[str, Any]] = [
            ("name", {"name": 5}),
            ("name", {}),
            ("name", None),
            ("summary", {"role": "assistant", "model": "m"}),
            ("summary", SAMPLED | {"content": "text"}),
            ("summary", SAMPLED | {"role": "system"}),
            ("folders", {"roots": {}}),
            ("folders", {"roots": [{"uri": "https://x"}]}),
            ("folders", []),
            ("sign_in", {"code": "1"}),
        ]
        for key, said in wrong:
            status, refused = await answer(gateway, task_id, {"key": key, "answer": said})
            assert (status, refused["error"]["field"]) == (400, "answer"), said
        assert set((await task_of(gateway, task_id))["pause"]["inputs"]) == set(ALL_KINDS)
        assert await gateway.running.kinds(task_id) == ["created", "paused"]

    async def test_of_answers_to_one_input_at_the_same_time_the_first_wins(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": {"name": NAME, "folders": FOLDERS}})
        bodies = [{"key": "name", "answer": {"name": f"person {number}"}} for number in range(6)]
        answers = await asyncio.gather(*(answer(gateway, task_id, body) for body in bodies))
        assert sorted(status for status, _ in answers) == [200, *[409] * 5]
        winner = next(number for number, (status, _) in enumerate(answers) if status == 200)
        await answer(gateway, task_id, {"answer": LISTED})
        assert resumed_payload(gateway)["name"]["content"] == {"name": f"person {winner}"}

    async def test_the_last_answers_at_the_same_time_resume_the_task_once(self, gateway: Gateway) -> None:
        inputs = {f"key-{number}": FOLDERS for number in range(8)}
        task_id = await asked(gateway, {"inputs": inputs})
        answers = await asyncio.gather(*(answer(gateway, task_id, {"key": key, "answer": LISTED}) for key in inputs))
        assert {status for status, _ in answers} == {200}
        assert (await task_of(gateway, task_id))["status"] == "running"
        assert resumed_payload(gateway) == dict.fromkeys(inputs, LISTED)
        assert await gateway.running.kinds(task_id) == ["created", "paused", *["answered"] * 7, "resumed"]

    async def test_a_caller_repeats_an_answer_under_its_key_of_idempotency(self, gateway: Gateway) -> None:
        """One key for several inputs: it belongs to each of them alone."""
        task_id = await asked(gateway, {"inputs": {"name": NAME, "folders": FOLDERS}})
        key = {"headers": {"Idempotency-Key": "k"}}
        first = {"key": "folders", "answer": LISTED}
        for _ in range(2):
            status, task = await answer(gateway, task_id, first, **key)
            assert (status, list(task["pause"]["inputs"])) == (200, ["name"])
        assert (await answer(gateway, task_id, first | {"answer": {"roots": []}}, **key))[0] == 422
        for _ in range(2):
            status, task = await answer(gateway, task_id, {"key": "name", "answer": {"name": "Ada"}}, **key)
            assert (status, task["status"]) == (200, "running")
        assert await gateway.running.kinds(task_id) == ["created", "paused", "answered", "resumed"]

    async def test_a_pause_that_uses_a_key_again_fails_the_task(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": {"name": NAME}}, pause_id="p1")
        await answer(gateway, task_id, {"answer": {"name": "Ada"}})
        again = pause_body(task_id, {"inputs": {"folders": FOLDERS, "name": NAME}}, pause_id="p2")
        assert (await gateway.post(f"/mesh/{task_id}/progress", again))[0] == 400
        task = await task_of(gateway, task_id)
        assert (task["status"], task["error"]["class"], task["pause"]) == ("failed", "runtime", None)
        assert "expected keys that the task has not used before; used was name" in task["error"]["message"]

    async def test_a_redelivered_pause_keeps_the_answers_that_it_has(self, gateway: Gateway) -> None:
        question = {"inputs": {"name": NAME, "folders": FOLDERS}}
        task_id = await asked(gateway, question)
        await answer(gateway, task_id, {"key": "folders", "answer": LISTED})
        assert (await gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, question)))[0] == 200
        assert list((await task_of(gateway, task_id))["pause"]["inputs"]) == ["name"]
        await answer(gateway, task_id, {"answer": {"name": "Ada"}})
        assert (await gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, question)))[0] == 200
        assert (await task_of(gateway, task_id))["status"] == "running"

    async def test_readers_learn_of_each_answer(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": {"name": NAME, "folders": FOLDERS}})
        async with gateway.stream(f"/stream/{task_id}") as reader:
            events = [await reader.next() for _ in range(2)]
            await answer(gateway, task_id, {"key": "folders", "answer": LISTED})
            event = await reader.next()
        assert events[1] is not None
        assert events[1].data["pause"]["inputs"].keys() == {"name", "folders"}
        assert event is not None
        assert (event.data["status"], event.data["key"], event.data["action"]) == ("paused", "folders", "accept")
        assert event.data["pause_id"] == events[1].data["pause"]["id"]


async def test_a_question_that_cannot_be_asked_fails_its_task_and_names_the_field(gateway: Gateway) -> None:
    unknown_type = {"type": "object", "properties": {"a": {"type": "text"}}}
    broken = NAME | {"params": {"message": "?", "requestedSchema": unknown_type}}
    for inputs, field in (({"k": broken}, "inputs.k.params.requestedSchema"), ({"k": {}}, "inputs.k.method")):
        task_id = await gateway.submit()
        status, refused = await gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": inputs}))
        assert (status, refused["error"]["field"]) == (400, f"pause_metadata.{field}")
        task = await task_of(gateway, task_id)
        assert (task["status"], task["error"]["details"]["type"]) == ("failed", "BadPause")


class TestDeclines:
    @pytest.mark.parametrize("action", ["decline", "cancel"])
    async def test_by_default_a_declined_question_stays_open_and_the_log_says_so(
        self, gateway: Gateway, action: str
    ) -> None:
        task_id = await asked(gateway, FORM)
        pause_id = (await task_of(gateway, task_id))["pause"]["id"]
        for _ in range(3):
            status, task = await answer(gateway, task_id, {"action": action})
            assert (status, task["status"], task["pause"]["id"]) == (200, "paused", pause_id)
        assert await gateway.running.kinds(task_id) == ["created", "paused", "answered"]
        detail = await gateway.running.storage.database.fetchval(
            "SELECT detail::text FROM task_updates WHERE task_id = $1 AND kind = 'answered'", task_id
        )
        entry = jsontext.loads(detail)
        assert (entry["key"], entry["action"], entry["by"]) == (pause_id, action, "rest")
        assert (await answer(gateway, task_id, {"answer": {"ok": True}}))[1]["status"] == "running"
        assert resumed_payload(gateway) == {"order": {"ok": True}}

    @pytest.mark.parametrize(("action", "word"), [("decline", "declined"), ("cancel", "canceled")])
    async def test_a_pause_may_say_that_a_decline_fails_the_task(
        self, gateway: Gateway, action: str, word: str
    ) -> None:
        task_id = await asked(gateway, FORM | {"on_decline": "fail"})
        assert (await task_of(gateway, task_id))["pause"]["on_decline"] == "fail"
        key = {"headers": {"Idempotency-Key": "k"}}
        for _ in range(2):
            status, task = await answer(gateway, task_id, {"action": action}, **key)
            assert (status, task["status"], task["pause"]) == (200, "failed", None)
        task = await task_of(gateway, task_id)
        assert (task["error"]["class"], task["error"]["code"]) == ("business", "declined")
        assert task["error"]["message"] == f"The question was {word}"
        assert task["error"]["details"]["action"] == action
        assert (await answer(gateway, task_id, {"answer": {"ok": True}}))[0] == 409

    @pytest.mark.parametrize(
        ("said", "payload"),
        [
            ({"action": "decline"}, {"order": {"n": 1}, "answer_action": "decline"}),
            ({"action": "cancel"}, {"order": {"n": 1}, "answer_action": "cancel"}),
            ({"answer": {"ok": True}}, {"order": {"n": 1, "ok": True}, "answer_action": "accept"}),
        ],
    )
    async def test_a_pause_may_hand_the_action_to_its_actor(
        self, gateway: Gateway, said: dict[str, Any], payload: Any
    ) -> None:
        """The schema binds `accept` only, and defaults are not filled in by a decline."""
        fields = [*FORM["fields"], {"name": "why", "default": "none given"}]
        filled = payload | ({"why": "none given"} if "answer" in said else {})
        task_id = await asked(gateway, {"fields": fields, "on_decline": "continue"}, {"order": {"n": 1}})
        assert (await answer(gateway, task_id, said))[1]["status"] == "running"
        assert resumed_payload(gateway) == filled

    async def test_the_action_joins_an_answer_that_is_merged_at_the_root(self, gateway: Gateway) -> None:
        for said, expected in (
            ({"action": "decline"}, {"answer_action": "decline"}),
            ({"answer": {"a": 1, "answer_action": "decline"}}, {"a": 1, "answer_action": "accept"}),
        ):
            task_id = await asked(gateway, {"prompt": "?", "on_decline": "continue"})
            assert (await answer(gateway, task_id, said))[0] == 200
            assert jsontext.loads(gateway.running.handed[-1].body)["payload"] == expected

    async def test_one_of_several_inputs_declined_stays_open_beside_the_others(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": {"name": NAME, "folders": FOLDERS}})
        status, task = await answer(gateway, task_id, {"key": "name", "action": "decline"})
        assert (status, set(task["pause"]["inputs"])) == (200, {"name", "folders"})
        await answer(gateway, task_id, {"key": "name", "answer": {"name": "Ada"}})
        assert (await answer(gateway, task_id, {"answer": LISTED}))[1]["status"] == "running"

    async def test_one_of_several_inputs_declined_may_fail_the_task(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": {"name": NAME, "folders": FOLDERS}, "on_decline": "fail"})
        await answer(gateway, task_id, {"key": "folders", "answer": LISTED})
        assert (await answer(gateway, task_id, {"key": "folders", "action": "decline"}))[0] == 409
        _, task = await answer(gateway, task_id, {"key": "name", "action": "cancel"})
        assert (task["status"], task["error"]["message"]) == ("failed", "The input name was canceled")

    async def test_one_of_several_inputs_declined_may_be_its_answer(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, {"inputs": {"name": NAME, "folders": FOLDERS}, "on_decline": "continue"})
        _, task = await answer(gateway, task_id, {"key": "name", "action": "decline"})
        assert (task["status"], list(task["pause"]["inputs"])) == ("paused", ["folders"])
        assert (await answer(gateway, task_id, {"action": "cancel"}))[1]["status"] == "running"
        assert resumed_payload(gateway) == {"name": {"action": "decline"}, "folders": {"action": "cancel"}}

    async def test_a_decline_and_an_answer_at_the_same_time_have_one_winner(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, FORM | {"on_decline": "fail"})
        said: list[dict[str, Any]] = [{"action": "decline"}, {"answer": {"ok": True}}] * 3
        answers = await asyncio.gather(*(answer(gateway, task_id, body) for body in said))
        assert sorted(status for status, _ in answers) == [200, *[409] * 5]
        winner = next(number for number, (status, _) in enumerate(answers) if status == 200)
        ended = "failed" if winner % 2 == 0 else "running"
        assert (await task_of(gateway, task_id))["status"] == ended

    async def test_a_malformed_answer_names_the_field(self, gateway: Gateway) -> None:
        task_id = await asked(gateway, FORM)
        malformed: list[tuple[dict[str, Any], str]] = [
            ({}, "answer"),
            ({"action": "decline", "answer": {"ok": True}}, "answer"),
            ({"action": "consent"}, "action"),
            ({"action": "maybe"}, "action"),
            ({"action": ["accept"]}, "action"),
            ({"key": "", "answer": 1}, "key"),
            ({"key": 5, "answer": 1}, "key"),
        ]
        for body, field in malformed:
            status, refused = await answer(gateway, task_id, body)
            assert (status, refused["error"]["field"]) == (400, field), body


class TestUrls:
    @pytest.mark.parametrize("url", ["https://login.example.com/a?b=c", "http://127.0.0.1:8080/x", "http://localhost/"])
    async def test_a_pause_shows_where_the_person_goes(self, gateway: Gateway, url: str) -> None:
        task_id = await asked(gateway, {"prompt": "Please sign in", "url": url, "status": "auth_required"})
        task = await task_of(gateway, task_id)
        assert (task["status"], task["pause"]["url"]) == ("auth_required", url)
        assert (await answer(gateway, task_id, {"answer": {}}))[1]["status"] == "running"

    async def test_a_sidecar_of_before_that_says_completed_may_ask_for_an_authorization(self, gateway: Gateway) -> None:
        route = {"prev": ["first", "x-pause"], "curr": "x-resume", "next": []}
        body = pause_body("", {"prompt": "?", "status": "auth_required"}, status="completed", **route)
        del body["checkpoint"]
        task_id = await gateway.submit()
        assert (await gateway.post(f"/mesh/{task_id}/progress", body))[0] == 200
        assert (await task_of(gateway, task_id))["status"] == "auth_required"

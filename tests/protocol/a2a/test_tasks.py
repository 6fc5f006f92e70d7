"""Messages become tasks: sent, waited for, looked at, answered, canceled (specification 1.0, section 3)."""

import asyncio
import gc
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.a2a.request import CONVERSATIONS
from asya_gateway.protocols.http.keys import HELD
from tests.support.a2a import conforms, data_message, envelope, post, rest, rpc, text_message
from tests.support.blocks import counted_blocks
from tests.support.gateway import Gateway
from tests.support.inputs import NAME, SAMPLED, SUMMARY, pause_body
from tests.support.mcp import Actor, serve_tools
from tests.support.waiting import until
from tests.support.web import web

TWO = {"name": NAME, "summary": SUMMARY}
SURE = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
ROUNDS = [{"confirm": {"elicitation": {"message": "Sure?", "requestedSchema": SURE}}}]


def the_error(answer: Any) -> tuple[int, Any]:
    """Code, and the reason or the fields of the details."""
    error = answer["error"]
    found = [each.get("reason") or [each["field"] for each in each["fieldViolations"]] for each in error["data"]]
    return error["code"], found[0]


async def test_a_blocking_send_returns_the_finished_task_with_its_artifact(gateway: Gateway, actor: Actor) -> None:
    """3.2.2: with returnImmediately false 'the operation MUST wait until the task reaches a terminal state'."""
    params = {"message": text_message("hi"), "metadata": {"skill": "echo"}}
    sending = asyncio.create_task(rpc(gateway, "SendMessage", params))
    task_id, sent = await actor.take()
    payload = sent["payload"]
    assert payload["query"] == "hi"
    assert payload["a2a"]["task"]["id"] == task_id
    assert payload["a2a"]["task"]["history"][0]["parts"] == [{"text": "hi"}]
    assert sent["headers"]["x-asya-a2a-task-id"] == task_id
    await actor.end(task_id, result={"n": 2**60 + 1, "m": 42})
    task = (await sending)["result"]["task"]
    conforms(task, "Task")
    assert (task["id"], task["status"]["state"]) == (task_id, "TASK_STATE_COMPLETED")
    assert task["artifacts"][0]["parts"] == [{"data": {"n": 2**60 + 1, "m": 42}}]
    assert [message["messageId"] for message in task["history"]] == ["m-1"]


async def test_a_send_that_returns_at_once_is_looked_at_later(gateway: Gateway, actor: Actor) -> None:
    params = {"message": data_message({"n": 1}), "configuration": {"returnImmediately": True}, "tenant": "numbers"}
    task = (await rpc(gateway, "SendMessage", params))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_SUBMITTED"
    task_id, sent = await actor.take()
    assert {key: value for key, value in sent["payload"].items() if key != "a2a"} == {"n": 1}
    await actor.report(task_id, "received")
    assert (await rpc(gateway, "GetTask", {"id": task_id}))["result"]["status"]["state"] == "TASK_STATE_WORKING"
    await actor.end(task_id, result="done")
    found = (await rpc(gateway, "GetTask", {"id": task_id, "historyLength": 0}))["result"]
    assert found["artifacts"][0]["parts"] == [{"text": "done"}]
    assert "history" not in found


@pytest.mark.parametrize("length", [None, 0, 1])
async def test_what_a_send_returns_at_once_is_the_task_as_it_is_stored(
    gateway: Gateway, length: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3.2.2: with returnImmediately true 'the operation MUST return immediately after creating the task'. It is written
    in one statement, and not read."""
    parts = [{"text": "hi\u2028", "metadata": {"a": 2**60 + 1}}, {"raw": "aGk", "filename": "f"}, {"data": {"x": None}}]
    message = {**text_message("hi"), "parts": parts, "metadata": {"b": [1.0]}, "extensions": ["urn:x"]}
    asked = {} if length is None else {"historyLength": length}
    params = {"message": message, "configuration": {"returnImmediately": True, **asked}}
    with counted_blocks(monkeypatch) as counted:
        task = (await rpc(gateway, "SendMessage", params, path="/a2a/echo"))["result"]["task"]
        at_once = [sql for _, sql in counted.statements]
    assert len(at_once) == 1, at_once
    conforms(task, "Task")
    with counted_blocks(monkeypatch) as counted:
        assert task == (await rpc(gateway, "GetTask", {"id": task["id"], **asked}))["result"]
        looking = [sql for _, sql in counted.statements]
    assert len(looking) == (2 if length == 0 else 3), looking
    before = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}
    params = {"message": before, "configuration": {"blocking": False}}
    task = (await rpc(gateway, "message/send", params, version=None, path="/a2a/echo"))["result"]
    assert task == (await rpc(gateway, "tasks/get", {"id": task["id"]}, version=None))["result"]


async def test_a_send_that_waits_does_not_keep_its_message_in_memory(gateway: Gateway, actor: Actor) -> None:
    """What waits is not charged to the budget of memory, and so must not take any."""
    marked = {"mark": "sesame"}

    def kept() -> int:
        return sum(isinstance(each, dict) and each == marked for each in gc.get_objects())

    body = jsontext.dumps(envelope("SendMessage", {"message": data_message(marked)})).encode()
    before = kept()
    sending = asyncio.create_task(post(gateway, body, path="/a2a/echo"))
    task_id = (await actor.take())[0]
    await until(lambda: len(gateway.app[HELD]) == 1, what="the request to be held")
    gc.collect()
    assert kept() == before
    await actor.end(task_id, result="done")
    assert (await sending)[0] == 200


async def test_the_payload_of_a_lone_data_part_is_checked_against_the_schema(gateway: Gateway) -> None:
    answer = await rpc(gateway, "SendMessage", {"message": data_message({"n": "x"}), "tenant": "numbers"})
    code, fields = the_error(answer)
    assert (code, fields) == (-32602, ["message.parts/n"])
    assert await gateway.stored() == 0


async def test_a_text_beside_data_does_not_switch_the_check_off(gateway: Gateway, actor: Actor) -> None:
    parts = [{"text": "please"}, {"data": {"n": "x"}}]
    message = {"messageId": "m", "role": "ROLE_USER", "parts": parts}
    answer = await rpc(gateway, "SendMessage", {"message": message, "tenant": "numbers"})
    assert the_error(answer) == (-32602, ["message.parts/n"])
    parts[1] = {"data": {"n": 3}}
    params = {"message": message, "tenant": "numbers", "configuration": {"returnImmediately": True}}
    assert "task" in (await rpc(gateway, "SendMessage", params))["result"]
    _, sent = await actor.take()
    assert (sent["payload"]["n"], sent["payload"]["query"]) == (3, "please")


async def test_a_flow_that_asks_before_it_starts_takes_no_message_without_the_answers(gateway: Gateway) -> None:
    asks = {"name": "asks", "entrypoint": "first", "a2a": {}, "mcp": {"input": ROUNDS}}
    serve_tools(gateway, [asks], generation=2)
    for message in (text_message("delete it"), data_message({"file": "a"})):
        answer = await rpc(gateway, "SendMessage", {"message": message})
        assert answer["error"]["code"] == -32602, answer
    assert await gateway.stored() == 0


async def test_without_a_skill_the_refusal_lists_those_that_the_caller_may_use(gateway: Gateway) -> None:
    answer = await rpc(gateway, "SendMessage", {"message": text_message("hi")})
    assert answer["error"]["code"] == -32602
    assert "echo, numbers, texts" in answer["error"]["message"]
    unknown = await rpc(gateway, "SendMessage", {"message": text_message("hi"), "metadata": {"skill": "tool"}})
    assert unknown["error"]["code"] == -32602


@pytest.mark.parametrize("path", ["/a2a/echo", "/a2a/echo/"])
async def test_the_path_may_name_the_skill(gateway: Gateway, actor: Actor, path: str) -> None:
    configuration = {"returnImmediately": True}
    answer = await rpc(
        gateway, "SendMessage", {"message": text_message("hi"), "configuration": configuration}, path=path
    )
    task_id, _ = await actor.take()
    assert answer["result"]["task"]["id"] == task_id
    other = await rpc(gateway, "GetTask", {"id": task_id}, path="/a2a/numbers")
    assert other["error"]["code"] == -32001


async def test_a_media_type_that_the_skill_does_not_take_is_refused(gateway: Gateway) -> None:
    """3.1.1: ContentTypeNotSupportedError."""
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x", "mediaType": "text/html"}]}
    answer = await rpc(gateway, "SendMessage", {"message": message}, path="/a2a/texts")
    assert the_error(answer) == (-32005, "CONTENT_TYPE_NOT_SUPPORTED")


async def test_a_question_is_answered_by_a_message_and_the_task_goes_on(gateway: Gateway, actor: Actor) -> None:
    """3.4.3: 'The client continues the interaction by sending a new message with the same taskId and contextId', and
    'Agents MUST infer contextId from the task if only taskId is provided'."""
    sending = asyncio.create_task(rpc(gateway, "SendMessage", {"message": text_message("buy")}, path="/a2a/echo"))
    task_id, _ = await actor.take()
    fields = [{"name": "approved", "type": "boolean", "prompt": "Buy?"}]
    await actor.report(task_id, "paused", pause_metadata={"prompt": "Approve it", "fields": fields})
    task = (await sending)["result"]["task"]
    conforms(task, "Task")
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    text, asked = task["status"]["message"]["parts"]
    assert text["text"] == "Approve it"
    assert asked["data"]["schema"]["properties"]["approved"]["type"] == "boolean"

    wrong = await rpc(gateway, "SendMessage", {"message": text_message("perhaps", taskId=task_id)})
    assert wrong["error"]["code"] == -32602
    other = {"message": text_message("yes", taskId=task_id, contextId="another")}
    assert the_error(await rpc(gateway, "SendMessage", other)) == (-32602, ["message.contextId"])

    params = {
        "message": text_message("yes", taskId=task_id, messageId="m-2"),
        "configuration": {"returnImmediately": True},
    }
    going_on = (await rpc(gateway, "SendMessage", params))["result"]["task"]
    assert going_on["status"]["state"] == "TASK_STATE_WORKING"
    assert [message["messageId"] for message in going_on["history"]] == ["m-1", "m-2"]
    resumed, sent = await actor.take()
    assert sent["payload"] == {"approved": True}
    assert resumed == task_id


async def test_each_of_several_inputs_is_answered_alone_by_whatever_surface(gateway: Gateway, actor: Actor) -> None:
    # The parts have no place for a key, so a part of data names it.
    now = {"configuration": {"returnImmediately": True}}
    await rpc(gateway, "SendMessage", {"message": text_message("buy"), **now}, path="/a2a/echo")
    task_id, _ = await actor.take()
    status, told = await gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": TWO}))
    assert status == 200, told

    unnamed = await rpc(gateway, "SendMessage", {"message": text_message("Ada", taskId=task_id)})
    assert the_error(unnamed) == (-32602, ["message.parts"])
    wrong = data_message({"inputs": {"age": {"name": "Ada"}}}, taskId=task_id)
    assert the_error(await rpc(gateway, "SendMessage", {"message": wrong})) == (
        -32602,
        ["message.parts[0].data.inputs"],
    )

    named = data_message({"inputs": {"name": {"name": "Ada"}}}, taskId=task_id, messageId="m-2")
    waiting = (await rpc(gateway, "SendMessage", {"message": named, **now}))["result"]["task"]
    assert waiting["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    status, answer = await gateway.post(f"/tasks/{task_id}/resume", {"key": "summary", "answer": SAMPLED})
    assert status == 200, answer
    resumed, _ = await actor.take()
    assert resumed == task_id
    task = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]
    assert task["status"]["state"] == "TASK_STATE_WORKING"


async def test_a_question_without_fields_is_answered_by_a_text(gateway: Gateway, actor: Actor) -> None:
    now = {"configuration": {"returnImmediately": True}}
    begun = await rpc(gateway, "SendMessage", {"message": text_message("buy"), **now}, path="/a2a/echo")
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata={"prompt": "Anything else?"})
    answered = await rpc(gateway, "SendMessage", {"message": text_message("no", taskId=task_id), **now})
    assert answered["result"]["task"]["status"]["state"] == "TASK_STATE_WORKING", (begun, answered)
    assert (await actor.take())[1]["payload"]["query"] == "no"


async def test_a_task_that_has_ended_takes_no_message_and_cannot_be_canceled(gateway: Gateway, actor: Actor) -> None:
    params = {"message": text_message("hi"), "configuration": {"returnImmediately": True}}
    task_id = (await rpc(gateway, "SendMessage", params, path="/a2a/echo"))["result"]["task"]["id"]
    canceled = (await rpc(gateway, "CancelTask", {"id": task_id}))["result"]
    conforms(canceled, "Task")
    assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
    assert the_error(await rpc(gateway, "CancelTask", {"id": task_id})) == (-32002, "TASK_NOT_CANCELABLE")
    again = await rpc(gateway, "SendMessage", {"message": text_message("more", taskId=task_id)})
    assert the_error(again) == (-32004, "UNSUPPORTED_OPERATION")


async def test_an_actor_may_reject_fail_and_return_parts(gateway: Gateway, actor: Actor) -> None:
    async def ended(status: str, **more: Any) -> Any:
        sending = asyncio.create_task(rpc(gateway, "SendMessage", {"message": text_message("x")}, path="/a2a/echo"))
        task_id, _ = await actor.take()
        await actor.end(task_id, status, **more)
        task = (await sending)["result"]["task"]
        conforms(task, "Task")
        return task

    rejected = await ended("failed", error="no", error_details={"code": "rejected"}, **{"class": "business"})
    assert rejected["status"]["state"] == "TASK_STATE_REJECTED"
    failed = await ended("failed", error="it broke")
    assert failed["status"]["state"] == "TASK_STATE_FAILED"
    assert failed["status"]["message"]["parts"] == [{"text": "it broke"}]
    parts = [{"url": "https://files.example/a.png", "mediaType": "image/png", "filename": "a.png"}, {"text": "a"}]
    made = await ended("succeeded", result={"parts": parts, "name": "picture"})
    assert (made["artifacts"][0]["parts"], made["artifacts"][0]["name"]) == (parts, "picture")
    echoed = await ended("succeeded", result={"x": 1, "a2a": {"task": {}}})
    assert echoed["artifacts"][0]["parts"] == [{"data": {"x": 1}}]


async def test_a_repeated_key_is_the_same_task_whatever_the_message_is_called(gateway: Gateway, actor: Actor) -> None:
    configuration = {"returnImmediately": True}

    async def sent(**message: Any) -> Any:
        params = {"message": text_message("hi", **message), "configuration": configuration}
        return await rpc(gateway, "SendMessage", params, path="/a2a/echo", **{"Idempotency-Key": "k-1"})

    first = (await sent())["result"]["task"]["id"]
    assert (await sent(messageId="m-2"))["result"]["task"]["id"] == first
    assert (await sent(contextId="other"))["error"]["code"] == -32602
    assert await gateway.stored() == 1


async def test_a_clients_context_comes_back_and_is_another_ones_inside(gateway: Gateway, actor: Actor) -> None:
    params = {"message": text_message("hi", contextId="chat"), "configuration": {"returnImmediately": True}}
    one = (await rpc(gateway, "SendMessage", params, path="/a2a/echo"))["result"]["task"]
    two = (await rpc(gateway, "SendMessage", params, path="/a2a/echo"))["result"]["task"]
    assert one["contextId"] == two["contextId"] == "chat"
    inside = {(await actor.take())[1]["headers"]["x-asya-a2a-context-id"] for _ in range(2)}
    assert len(inside) == 1
    assert inside != {"chat"}


async def test_a_task_that_is_unknown_is_not_found_in_every_method(gateway: Gateway) -> None:
    for method in ("GetTask", "CancelTask", "SubscribeToTask"):
        assert the_error(await rpc(gateway, method, {"id": "nobody"})) == (-32001, "TASK_NOT_FOUND")
    message = text_message("x", taskId="nobody")
    assert the_error(await rpc(gateway, "SendMessage", {"message": message}))[0] == -32001
    refers = text_message("x", referenceTaskIds=["nobody"])
    assert the_error(await rpc(gateway, "SendMessage", {"message": refers}, path="/a2a/echo"))[0] == -32001


async def test_a_message_refers_to_a_few_tasks_at_most(gateway: Gateway) -> None:
    message = text_message("x", referenceTaskIds=[f"t-{number}" for number in range(33)])
    answer = await rpc(gateway, "SendMessage", {"message": message}, path="/a2a/echo")
    assert the_error(answer) == (-32602, ["message.referenceTaskIds"])


async def test_a_message_that_refines_hands_its_references_on_all_looked_up_at_once(
    gateway: Gateway, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3.4.3: 'Agents SHOULD use referenced tasks to understand the context and intent of follow-up requests'. The
    follow-up is a task of its own in the same context."""
    now = {"configuration": {"returnImmediately": True}}
    first = {"message": text_message("draw a boat", contextId="boats"), **now}
    ids = [(await rpc(gateway, "SendMessage", first, path="/a2a/echo"))["result"]["task"]["id"] for _ in range(32)]
    await actor.serve({"boat": 1})
    for _ in ids[1:]:
        await actor.take()
    message = text_message("now a red one", contextId="boats", referenceTaskIds=ids)
    with counted_blocks(monkeypatch) as counted:
        task = (await rpc(gateway, "SendMessage", {"message": message, **now}, path="/a2a/echo"))["result"]["task"]
        # One for all references, and the task itself.
        statements = [sql for _, sql in counted.statements if "a2a_tasks" in sql]
    assert len(statements) == 2, statements
    assert task["id"] not in ids
    assert (task["contextId"], task["history"][0]["referenceTaskIds"]) == ("boats", ids)
    _, sent = await actor.take()
    assert sent["payload"]["a2a"]["task"]["history"][0]["referenceTaskIds"] == ids


async def test_a_repeated_answer_is_the_same_answer_whatever_has_become_of_its_task(
    gateway: Gateway, actor: Actor
) -> None:
    now = {"configuration": {"returnImmediately": True}}
    key = {"Idempotency-Key": "answer-1"}
    await rpc(gateway, "SendMessage", {"message": text_message("buy"), **now}, path="/a2a/echo")
    task_id, _ = await actor.take()
    fields = [{"name": "approved", "type": "boolean"}]
    await actor.report(task_id, "paused", pause_metadata={"prompt": "Buy?", "fields": fields})
    yes = {"message": text_message("yes", taskId=task_id, messageId="m-2"), **now}
    states = [(await rpc(gateway, "SendMessage", yes, **key))["result"]["task"]["status"]["state"]]
    states.append((await rpc(gateway, "SendMessage", yes, **key))["result"]["task"]["status"]["state"])
    other = {"message": text_message("no", taskId=task_id), **now}
    assert (await rpc(gateway, "SendMessage", other, **key))["error"]["code"] == -32602
    await rpc(gateway, "CancelTask", {"id": task_id})
    task = (await rpc(gateway, "SendMessage", yes, **key))["result"]["task"]
    states.append(task["status"]["state"])
    assert states == ["TASK_STATE_WORKING", "TASK_STATE_WORKING", "TASK_STATE_CANCELED"]
    assert [message["messageId"] for message in task["history"]] == ["m-1", "m-2"]


async def test_equal_answers_at_once_under_one_key_are_one_message(gateway: Gateway, actor: Actor) -> None:
    now, key = {"configuration": {"returnImmediately": True}}, {"Idempotency-Key": "answer-1"}
    await rpc(gateway, "SendMessage", {"message": text_message("buy"), **now}, path="/a2a/echo")
    task_id, _ = await actor.take()
    fields = [{"name": "approved", "type": "boolean"}]
    await actor.report(task_id, "paused", pause_metadata={"prompt": "Buy?", "fields": fields})
    said = [{"message": text_message("yes", taskId=task_id, messageId=f"m-{n}"), **now} for n in range(2, 6)]
    tasks = await asyncio.gather(*(rpc(gateway, "SendMessage", each, **key) for each in said))
    assert {each["result"]["task"]["status"]["state"] for each in tasks} == {"TASK_STATE_WORKING"}
    history = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]["history"]
    assert (len(history), history[0]["messageId"]) == (2, "m-1")


@pytest.mark.parametrize("method", ["SendMessage", "message/send", "tasks/send"])
async def test_an_actor_is_told_which_media_types_the_client_accepts(
    gateway: Gateway, actor: Actor, method: str
) -> None:
    """definitions, SendMessageConfiguration: 'Agents SHOULD use this to tailor their output'. What is made is the
    actor's to say."""
    modes = ["text/markdown", "image/png"]
    older = {"role": "user", "parts": [{"type": "text", "kind": "text", "text": "hi"}]}
    said: dict[str, dict[str, Any]] = {
        "SendMessage": {"message": text_message("hi"), "configuration": {"acceptedOutputModes": modes}},
        "message/send": {"message": {"messageId": "m", **older}, "configuration": {"acceptedOutputModes": modes}},
        "tasks/send": {"id": "own", "message": older, "acceptedOutputModes": modes},
    }
    version = "1.0" if method == "SendMessage" else None
    sending = asyncio.create_task(rpc(gateway, method, said[method], version=version, path="/a2a/echo"))
    task_id, sent = await actor.take()
    assert sent["payload"]["a2a"]["task"]["accepted_output_modes"] == modes
    await actor.end(task_id, result="done")
    assert "result" in await sending


async def test_the_url_of_a_file_is_handed_on_and_never_fetched(gateway: Gateway, actor: Actor) -> None:
    """'File references within A2A messages MUST be validated to prevent server-side request forgery (SSRF)': nothing
    is requested by the gateway."""
    async with web() as server:
        part = {"url": f"{server.url}/latest/meta-data", "filename": "a.png"}
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [part, {"text": "look"}]}
        sending = asyncio.create_task(rpc(gateway, "SendMessage", {"message": message}, path="/a2a/echo"))
        task_id, sent = await actor.take()
        assert sent["payload"]["a2a"]["task"]["history"][0]["parts"][0] == part
        await actor.end(task_id, result={"parts": [part]})
        task = (await sending)["result"]["task"]
        assert task["artifacts"][0]["parts"] == [part]
        assert server.connections == 0


async def test_what_no_error_of_the_protocol_describes_is_logged_and_told_without_its_cause(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """'Servers SHOULD log system errors for diagnostic purposes'."""

    async def broken(*_: Any) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(gateway.app[CONVERSATIONS], "named", broken)
    task_id = (
        await rpc(
            gateway,
            "SendMessage",
            {"message": text_message("hi"), "configuration": {"returnImmediately": True}},
            path="/a2a/echo",
        )
    )["result"]["task"]["id"]
    error = (await rpc(gateway, "GetTask", {"id": task_id}))["error"]
    answer = await rest(gateway, "GET", f"/tasks/{task_id}")
    assert (error["code"], error["message"], answer.status) == (-32603, "Internal error", 500)
    assert "s3cret" not in str(error) + str(answer.body)
    assert caplog.text.count("RuntimeError: s3cret") == 2

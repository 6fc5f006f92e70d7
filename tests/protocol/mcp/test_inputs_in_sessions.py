"""Inputs before a flow starts, in sessions of older revisions: requests of the gateway on the stream of the call, whose
answers may arrive at any replica."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.protocols.http.keys import STREAMS, TASKS
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS
from tests.support.asking import ALICE, CONFIRMED, LISTED, SAID
from tests.support.asking import TOOLS as ASKING
from tests.support.gateway import Gateway
from tests.support.mcp import Actor, conforms, message, serve_tools
from tests.support.mcp_sessions import Client, Stream, connect, replicas
from tests.support.waiting import until

VERSIONS = ["2025-11-25", "2025-06-18"]
DECLINED = {"action": "decline"}


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[list[Gateway]]:
    async with replicas(database_url, keepalive_interval=0.2) as made:
        for gateway in made:
            serve_tools(gateway, ASKING)
        yield made


async def payload_of(pair: list[Gateway]) -> tuple[str, Any]:
    """The task that was made at either gateway, and what its first actor gets."""
    await until(lambda: any(each.running.handed for each in pair), what="a call")
    (gateway,) = [each for each in pair if each.running.handed]
    task_id, envelope = await Actor(gateway).take()
    return task_id, envelope["payload"]


async def ended(stream: Stream, pair: list[Gateway], task_id: str) -> Any:
    """End the task; the result of the call."""
    await pair[0].finish(task_id, {"done": True})
    answer = await stream.message()
    assert "result" in answer, answer
    return answer["result"]


async def asked(stream: Stream, version: str = "2025-11-25") -> Any:
    """The next request of the gateway."""
    request = await stream.message()
    assert "method" in request, request
    conforms(request, "ServerRequest", version)
    return request


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_form_is_asked_on_the_calls_stream_and_answered_at_another_replica(
    pair: list[Gateway], version: str
) -> None:
    """client/elicitation: 'To request information from a user, servers send an elicitation/create request'."""
    client = await connect(*pair, version=version)
    async with client.call("name", {"who": "x"}, pair[0]) as stream:
        request = await asked(stream, version)
        assert request["method"] == "elicitation/create"
        assert request["params"]["message"] == "What is your name?"
        assert await pair[0].stored() == 0
        await client.respond(request["id"], ALICE, pair[1])
        task_id, payload = await payload_of(pair)
        assert payload == {"who": "x", "input": {"user_name": ALICE}}
        await ended(stream, pair, task_id)
    assert await pair[0].stored() == 1


async def test_one_round_asks_everything_at_once_and_rounds_follow(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    async with client.call("several", {"who": "Bob"}) as stream:
        requests = {request["method"]: request for request in [await asked(stream) for _ in range(3)]}
        assert requests["sampling/createMessage"]["params"]["messages"][0]["content"]["text"] == "Greet Bob"
        await client.respond(requests["roots/list"]["id"], LISTED)
        await client.respond(requests["elicitation/create"]["id"], ALICE)
        await client.respond(requests["sampling/createMessage"]["id"], SAID)
        task_id, payload = await payload_of(pair)
        assert payload["input"] == {"user_name": ALICE, "greeting": SAID, "folders": LISTED}
        await ended(stream, pair, task_id)


async def test_a_later_round_quotes_an_earlier_answer(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    async with client.call("delete", {"who": "it"}) as stream:
        await client.respond((await asked(stream))["id"], ALICE)
        request = await asked(stream)
        assert request["params"]["message"] == "Delete it, Alice?"
        await client.respond(request["id"], CONFIRMED)
        task_id, payload = await payload_of(pair)
        assert payload["input"] == {"user_name": ALICE, "confirm": CONFIRMED}
        await ended(stream, pair, task_id)


async def test_rounds_outlive_an_outage_between_them(pair: list[Gateway], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person has answered is not lost, nor asked again."""
    client = await connect(*pair)
    requests, tasks = pair[0].app[SESSIONS].requests, pair[0].app[TASKS]
    async with client.call("delete", {"who": "it"}, pair[0]) as stream:
        first = await asked(stream)
        monkeypatch.setattr(requests, "ask", away_at_first(requests.ask))
        monkeypatch.setattr(tasks, "submit", away_at_first(tasks.submit))
        await client.respond(first["id"], ALICE, pair[1])
        second = await asked(stream)
        assert second["params"]["message"] == "Delete it, Alice?"
        await client.respond(second["id"], CONFIRMED, pair[1])
        task_id, payload = await payload_of(pair)
        assert payload["input"] == {"user_name": ALICE, "confirm": CONFIRMED}
        await ended(stream, pair, task_id)
    assert await pair[0].stored() == 1


def away_at_first(work: Any) -> Any:
    """The same, but the database is away at the first two attempts."""
    failures = iter([Unavailable("away")] * 2)

    async def made(*arguments: Any) -> Any:
        for error in failures:
            raise error
        return await work(*arguments)

    return made


async def test_only_what_the_client_has_declared_is_asked(pair: list[Gateway]) -> None:
    """client/sampling: 'Clients that support sampling MUST declare the sampling capability during initialization'."""
    client = await connect(*pair, capabilities={"sampling": {}})
    async with client.call("several") as stream:
        request = await asked(stream)
        assert request["method"] == "sampling/createMessage"
        await client.respond(request["id"], SAID)
        task_id, payload = await payload_of(pair)
        assert payload["input"] == {"user_name": None, "greeting": SAID, "folders": None}
        await ended(stream, pair, task_id)


@pytest.mark.parametrize("version", ["2025-03-26", "2024-11-05"])
async def test_older_revisions_are_asked_before_a_call_for_what_they_know(pair: list[Gateway], version: str) -> None:
    """2025-06-18, changelog: 'Add support for elicitation'. Before, there are sampling and roots."""
    client = await connect(*pair, version=version)
    async with client.call("several", {"who": "Bob"}, pair[0]) as stream:
        requests = {request["method"]: request for request in [await asked(stream, version) for _ in range(2)]}
        assert requests["sampling/createMessage"]["params"]["messages"][0]["content"]["text"] == "Greet Bob"
        await client.respond(requests["roots/list"]["id"], LISTED, pair[1])
        await client.respond(requests["sampling/createMessage"]["id"], SAID, pair[1])
        task_id, payload = await payload_of(pair)
        assert payload == {"who": "Bob", "input": {"user_name": None, "greeting": SAID, "folders": LISTED}}
        await ended(stream, pair, task_id)


@pytest.mark.parametrize(("version", "capabilities"), [("2025-11-25", {}), ("2025-03-26", {"elicitation": {}})])
async def test_a_client_that_cannot_be_asked_gives_the_answers_with_its_arguments(
    pair: list[Gateway], version: str, capabilities: Any
) -> None:
    client = await connect(*pair, version=version, capabilities=capabilities)
    refused = await client.ask("tools/call", {"name": "name", "arguments": {}})
    assert refused["isError"] is True
    assert "/input/user_name: expected an answer" in refused["content"][0]["text"]
    call = asyncio.create_task(client.ask("tools/call", {"name": "name", "arguments": {"input": {"user_name": ALICE}}}))
    task_id, payload = await payload_of(pair)
    assert payload == {"input": {"user_name": ALICE}}
    await pair[0].finish(task_id, {})
    assert (await call)["isError"] is False


async def test_a_model_cannot_answer_for_the_person_who_can_be_asked(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    refused = await client.ask("tools/call", {"name": "name", "arguments": {"input": {"user_name": ALICE}}})
    assert "/input: expected no answers" in refused["content"][0]["text"]


@pytest.mark.parametrize(
    ("response", "how"),
    [
        ({"result": DECLINED}, "was declined"),
        ({"result": {"action": "cancel"}}, "was closed without an answer"),
        ({"error": {"code": -1, "message": "User rejected"}}, "was declined"),
        ({"error": {"code": -32601, "message": "Method not found"}}, "was closed without an answer"),
        ({"error": "odd"}, "was closed without an answer"),
    ],
)
async def test_a_declined_input_refuses_the_call(pair: list[Gateway], response: Any, how: str) -> None:
    client = await connect(*pair)
    async with client.call("name") as stream:
        request = await asked(stream)
        assert (await client.send({"jsonrpc": "2.0", "id": request["id"], **response}))[0] == 202
        result = (await stream.message())["result"]
    assert result["isError"] is True
    assert f"The input user_name {how}" in result["content"][0]["text"]
    assert await pair[0].stored() == 0


async def test_a_declined_input_may_be_left_to_the_flow(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    async with client.call("continues") as stream:
        await client.respond((await asked(stream))["id"], DECLINED)
        task_id, payload = await payload_of(pair)
        assert payload["input"] == {"user_name": DECLINED}
        await ended(stream, pair, task_id)


@pytest.mark.parametrize(
    ("name", "response"), [("waits", DECLINED), ("name", {"action": "accept", "content": {"name": 7}})]
)
async def test_an_input_is_asked_three_times_at_most(pair: list[Gateway], name: str, response: Any) -> None:
    client = await connect(*pair)
    async with client.call(name) as stream:
        for _ in range(3):
            await client.respond((await asked(stream))["id"], response)
        result = (await stream.message())["result"]
    assert result["isError"] is True
    assert await pair[0].stored() == 0


async def test_a_response_of_the_wrong_type_ends_the_call_with_its_name(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    async with client.call("name") as stream:
        await client.respond((await asked(stream))["id"], {"action": "accept", "content": 7})
        error = (await stream.message())["error"]
    assert error["code"] == -32602
    assert error["message"].startswith("inputResponses.user_name: content")


async def test_a_stream_that_broke_goes_on_at_another_replica_with_the_question(pair: list[Gateway]) -> None:
    """transports, "Resumability": the same request is sent again, under its id, only if it was not received."""
    client = await connect(*pair)
    async with client.call("name", {"who": "x"}, pair[0], id="call") as stream:
        primed = await stream.next()
        assert primed is not None
        request = await asked(stream)
    async with client.listen(pair[1], last=primed.id) as again:
        assert (await asked(again)) == request
        await client.respond(request["id"], ALICE, pair[0])
        task_id, payload = await payload_of(pair)
        assert payload == {"who": "x", "input": {"user_name": ALICE}}
        await ended(again, pair, task_id)
    assert await pair[0].stored() == 1


async def test_an_answer_that_arrived_while_nobody_held_the_call_is_found_by_who_goes_on(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    async with client.call("delete", {"who": "it"}, pair[0], id="call") as stream:
        request = await asked(stream)
        seen = stream.last_id
    await until(lambda: len(pair[0].app[STREAMS]) == 0, what="the end of the stream")
    await client.respond(request["id"], ALICE, pair[0])
    async with client.listen(pair[1], last=seen) as again:
        second = await asked(again)
        assert second["params"]["message"] == "Delete it, Alice?"
        await client.respond(second["id"], CONFIRMED)
        task_id, payload = await payload_of(pair)
        assert payload["input"] == {"user_name": ALICE, "confirm": CONFIRMED}
        await ended(again, pair, task_id)


async def test_a_canceled_call_asks_nothing_more_and_its_requests_are_closed(pair: list[Gateway]) -> None:
    """basic/utilities/cancellation: the call ends, and another one of the session can ask again."""
    client = await connect(*pair)
    for number in range(20):
        async with client.call("name", at=pair[0], id=f"call-{number}") as stream:
            await asked(stream)
            await client.notify("cancelled", {"requestId": f"call-{number}"}, pair[1])
            assert await stream.next() is None
    assert await pair[0].stored() == 0
    open_requests = "SELECT count(*) FROM mcp_server_requests WHERE ended_at IS NULL"
    database = pair[0].running.storage.database

    async def closed() -> bool:
        return int(await database.fetchval(open_requests)) == 0

    await until(closed, what="the end of every request")


async def test_progress_goes_on_while_the_client_is_asked_and_rises_after(database_url: str) -> None:
    async with replicas(database_url, number=1, mcp_progress_interval=0.1) as (gateway,):
        serve_tools(gateway, ASKING)
        client = await connect(gateway)
        async with client.call("name", token="t") as stream:
            request = await asked(stream)
            values = [(await stream.message())["params"]["progress"] for _ in range(2)]
            await client.respond(request["id"], ALICE)
            task_id, _ = await payload_of([gateway])
            await gateway.finish(task_id, {})
            while "method" in (event := await stream.message()):
                values.append(event["params"]["progress"])
        assert values == sorted(set(values))
        assert values[-1] == 100


async def test_a_batch_cannot_ask(pair: list[Gateway]) -> None:
    client = await connect(*pair, version="2025-03-26", capabilities={"sampling": {}})
    params = {"name": "needs-sampling", "arguments": {}}
    status, answers = await client.send([message("tools/call", params, 1)])
    assert status == 200
    assert answers[0]["error"]["code"] == -32602
    assert "with a stream" in answers[0]["error"]["message"]


async def test_arguments_that_fit_into_no_row_are_refused(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    params = {"name": "name", "arguments": {"who": "x" * 300_000}}
    _, answer = await client.send(message("tools/call", params, 1))
    assert "at most 262144 characters" in answer["error"]["message"]


async def test_a_call_whose_session_ends_is_answered(pair: list[Gateway]) -> None:
    client: Client = await connect(*pair)
    async with client.call("name", at=pair[0]) as stream:
        await asked(stream)
        assert await client.delete(pair[1]) in (200, 204)
        result = (await stream.message())["result"]
    assert "the session has ended" in result["content"][0]["text"]


async def test_a_prompt_asks_too(pair: list[Gateway]) -> None:
    prompt = {**ASKING[0], "mcp": {**ASKING[0]["mcp"], "tool": False, "prompt": {}}}
    for gateway in pair:
        serve_tools(gateway, [prompt], generation=2)
    client = await connect(*pair)
    async with client.post(message("prompts/get", {"name": "name"}, "get")) as response:
        stream = Stream(response)
        request = await asked(stream)
        seen = stream.last_id
    async with client.listen(pair[1], last=seen) as again:
        await client.respond(request["id"], ALICE, pair[0])
        task_id, payload = await payload_of(pair)
        assert payload["input"] == {"user_name": ALICE}
        result = await ended(again, pair, task_id)
    conforms(result, "GetPromptResult", "2025-11-25")


async def test_a_key_of_the_callers_own_goes_on_with_the_call(pair: list[Gateway]) -> None:
    """The request that goes on has no key, and still makes the task of the first one's."""
    client = await connect(*pair)
    params = {"name": "name", "arguments": {}}
    async with client.post(message("tools/call", params, "call"), pair[0], **{"Idempotency-Key": "mine"}) as response:
        stream = Stream(response)
        request = await asked(stream)
        seen = stream.last_id
    async with client.listen(pair[1], last=seen) as again:
        await client.respond(request["id"], ALICE, pair[0])
        task_id, _ = await payload_of(pair)
        await ended(again, pair, task_id)
    rows = await pair[0].running.storage.database.fetch("SELECT key, task_id FROM call_keys")
    assert [tuple(row) for row in rows] == [("mine", task_id)]


async def test_a_call_that_is_to_be_a_task_is_one_after_it_has_gone_on(pair: list[Gateway]) -> None:
    """basic/utilities/tasks (2025-11-25): a task-augmented request is answered with a CreateTaskResult."""
    client = await connect(*pair)
    params = {"name": "name", "arguments": {}, "task": {"ttl": 60_000}}
    async with client.post(message("tools/call", params, "call"), pair[0]) as response:
        stream = Stream(response)
        request = await asked(stream)
        seen = stream.last_id
    async with client.listen(pair[1], last=seen) as again:
        await client.respond(request["id"], ALICE, pair[0])
        result = (await again.message())["result"]
    conforms(result, "CreateTaskResult", "2025-11-25")
    assert await pair[0].stored() == 1

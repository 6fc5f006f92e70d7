"""What is read tolerantly, what is left out of answers, and where versions are said."""

import pytest

from tests.support.a2a import SKILLS, data_message, envelope, open_post, rpc, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools

NOW = {"configuration": {"returnImmediately": True}}


async def test_members_that_nobody_knows_are_ignored(gateway: Gateway, actor: Actor) -> None:
    """5.7: 'Implementations SHOULD ignore unrecognized fields in messages'."""
    part = {"text": "hi", "tone": "friendly"}
    message = {**text_message("", parts=[part], urgency=3), "parts": [part]}
    params = {"message": message, "configuration": {"returnImmediately": True, "color": "blue"}, "later": [1]}
    answer = await rpc(gateway, "SendMessage", params, path="/a2a/echo")
    assert answer["result"]["task"]["history"][0]["parts"] == [{"text": "hi"}]


@pytest.mark.parametrize(("length", "messages"), [(None, ["m-1", "m-2"]), (0, None), (1, ["m-2"]), (9, ["m-1", "m-2"])])
async def test_the_history_has_the_newest_messages_up_to_its_length(
    gateway: Gateway, actor: Actor, length: int | None, messages: list[str] | None
) -> None:
    """3.2.4: 'No history should be returned; the history field SHOULD be omitted' with 0, and 'Return at most this many
    recent messages' with more; the proto: 'The server MUST NOT return more messages than the provided value'."""
    task_id = (await rpc(gateway, "SendMessage", {"message": text_message("a"), **NOW}, path="/a2a/echo"))["result"][
        "task"
    ]["id"]
    await actor.take()
    await actor.report(task_id, "paused", pause_metadata={"prompt": "b?"})
    second = {"message": text_message("b", taskId=task_id, messageId="m-2"), **NOW}
    answered = await rpc(gateway, "SendMessage", second)
    assert "result" in answered, answered
    params = {"id": task_id, **({} if length is None else {"historyLength": length})}
    found = (await rpc(gateway, "GetTask", params))["result"]
    assert ([each["messageId"] for each in found["history"]] if "history" in found else None) == messages


@pytest.mark.parametrize(
    ("query", "header", "code"),
    [("1.0", None, -32001), ("1.0.1", None, -32001), ("2.0", None, -32009), ("2.0", "1.0", -32001)],
)
async def test_the_version_may_be_said_in_the_query(
    gateway: Gateway, query: str, header: str | None, code: int
) -> None:
    """3.6.1: 'Clients MAY provide the A2A-Version as a request parameter instead of a header'; 3.6: patch version
    numbers 'MUST not be considered when clients and servers negotiate protocol versions'."""
    answer = await rpc(gateway, "GetTask", {"id": "none"}, path=f"/a2a/?A2A-Version={query}", version=header)
    assert answer["error"]["code"] == code


async def test_a_request_that_cannot_be_read_is_answered_as_0_3_without_a_version(gateway: Gateway) -> None:
    """3.6.2: 'Agents MUST interpret empty value as 0.3 version'."""
    for version, typed in (("", False), (None, False), ("1.0", True)):
        headers = {} if version is None else {"A2A-Version": version}
        async with open_post(
            gateway, b'{"jsonrpc": "2.0", "id": 1, "method": "NoSuch"}', version=None, **headers
        ) as it:
            error = (await it.json())["error"]
            assert (error["code"], it.headers["A2A-Version"]) == (-32601, "1.0" if typed else "0.3")


async def test_every_task_has_an_id_of_its_own(gateway: Gateway, actor: Actor) -> None:
    """3.4.2: 'Agents MUST generate a unique taskId for each new task they create'; 3.4.1: a generated contextId 'MUST
    be included in the response'. The same messageId makes two tasks, since it is no key."""
    params = {"message": data_message({"n": 1}), **NOW}
    tasks = [(await rpc(gateway, "SendMessage", params, path="/a2a/echo"))["result"]["task"] for _ in range(2)]
    assert len({task["id"] for task in tasks}) == len({task["contextId"] for task in tasks}) == 2
    stored = [(await actor.take())[0] for _ in tasks]
    assert stored == [task["id"] for task in tasks]


async def test_an_extension_that_nobody_knows_is_ignored(gateway: Gateway, actor: Actor) -> None:
    """4.6.3: 'If a client requests a versions of an extension that the agent does not support, the agent SHOULD ignore
    the extension for that interaction and proceed without it'."""
    unknown = "https://extensions.example/weather/v9"
    message = text_message("hi", extensions=[unknown], metadata={unknown: {"unit": "C"}})
    answer = await rpc(
        gateway, "SendMessage", {"message": message, **NOW}, path="/a2a/echo", **{"A2A-Extensions": unknown}
    )
    assert answer["result"]["task"]["history"][0]["extensions"] == [unknown]
    async with open_post(gateway, envelope("GetTask", {"id": "none"}), **{"A2A-Extensions": unknown}) as response:
        assert unknown not in response.headers.get("A2A-Extensions", "")


async def test_a_caller_beyond_its_rate_is_told_when_to_come_again(database_url: str) -> None:
    """13.4: 'Agents SHOULD return appropriate error responses when rate limits are exceeded'."""
    async with start_gateway(database_url, rate_per_principal=1) as limited:
        serve_tools(limited, SKILLS)
        assert (await rpc(limited, "GetTask", {"id": "none"}))["error"]["code"] == -32001
        async with open_post(limited, envelope("GetTask", {"id": "none"})) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (429, -32603)
            assert int(response.headers["Retry-After"]) >= 1

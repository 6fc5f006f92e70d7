"""Where the endpoint is, and which skill a message is for (docs/protocols/a2a.md, "Addresses" and "A message")."""

from typing import Any

import pytest

from asya_crds.naming import A2A_SKILL_EXTENSION
from tests.support.a2a import SKILLS, envelope, open_post, rest, rpc, text_message
from tests.support.gateway import Gateway
from tests.support.mcp import Actor, serve_tools

NOW: dict[str, Any] = {"configuration": {"returnImmediately": True}}
HI = {"message": text_message("hi")}
BY_EXTENSION = {A2A_SKILL_EXTENSION: {"skillId": "texts"}}
WAYS: dict[str, dict[str, Any]] = {
    "tenant": {**HI, "tenant": "texts"},
    "skill of the request": {**HI, "metadata": {"skill": "texts"}},
    "skillId of the request": {**HI, "metadata": {"skillId": "texts"}},
    "extension of the request": {**HI, "metadata": BY_EXTENSION},
    "extension before another name": {**HI, "metadata": {"skill": "numbers", **BY_EXTENSION}},
    "skill of the message": {"message": text_message("hi", metadata={"skill": "texts"})},
    "skillId of the message": {"message": text_message("hi", metadata={"skillId": "texts"})},
    "extension of the message": {"message": text_message("hi", metadata=BY_EXTENSION)},
}


async def flow_of(gateway: Gateway, task_id: str) -> str:
    _, task = await gateway.get(f"/tasks/{task_id}")
    return str(task["flow"])


@pytest.mark.parametrize("path", ["/a2a", "/a2a/", "/a2a/v1", "/a2a/v1/", "/a2a/echo", "/a2a/echo/"])
async def test_every_address_speaks_every_dialect(gateway: Gateway, actor: Actor, path: str) -> None:
    for method, version in (("GetTask", "1.0"), ("tasks/get", "0.3"), ("tasks/get", None)):
        answer = await rpc(gateway, method, {"id": "none"}, path=path, version=version)
        assert answer["error"]["code"] == -32001
    begun = await rpc(gateway, "SendMessage", {**HI, "metadata": {"skill": "echo"}, **NOW}, path=path)
    assert begun["result"]["task"]["id"] == (await actor.take())[0]


@pytest.mark.parametrize("params", WAYS.values(), ids=WAYS)
async def test_a_message_names_its_skill_in_one_of_many_ways(gateway: Gateway, params: dict[str, Any]) -> None:
    over_rpc = await rpc(gateway, "SendMessage", {**params, **NOW})
    assert await flow_of(gateway, over_rpc["result"]["task"]["id"]) == "texts"
    over_http = await rest(gateway, "POST", "/message:send", {**params, **NOW})
    assert await flow_of(gateway, over_http.body["task"]["id"]) == "texts"


async def test_the_path_names_it_before_everything_else(gateway: Gateway) -> None:
    sent = await rpc(gateway, "SendMessage", {**HI, "metadata": {"skill": "numbers"}, **NOW}, path="/a2a/texts")
    assert await flow_of(gateway, sent["result"]["task"]["id"]) == "texts"
    over_http = await rest(gateway, "POST", "/texts/message:send", {**HI, **NOW})
    assert await flow_of(gateway, over_http.body["task"]["id"]) == "texts"


OLD = {"role": "user", "parts": [{"kind": "text", "type": "text", "text": "hi"}]}
UNNAMED: dict[str, dict[str, Any]] = {
    "SendMessage": {**HI, **NOW},
    "message/send": {"message": {"messageId": "m", **OLD}, "configuration": {"blocking": False}},
    "tasks/sendSubscribe": {"id": "own", "message": OLD},
}


@pytest.mark.parametrize("method", UNNAMED)
async def test_the_only_skill_needs_no_name(gateway: Gateway, method: str) -> None:
    serve_tools(gateway, [SKILLS[2], SKILLS[3]], generation=2)
    version = "1.0" if method == "SendMessage" else None
    async with open_post(gateway, envelope(method, UNNAMED[method]), version=version) as response:
        assert response.status == 200
    [row] = await gateway.running.storage.database.fetch("SELECT flow FROM tasks")
    assert row["flow"] == "texts"


@pytest.mark.parametrize(
    ("header", "method"), [("A2A-Extensions", "SendMessage"), ("X-A2A-Extensions", "message/send")]
)
async def test_what_is_active_of_the_named_extensions_is_echoed(gateway: Gateway, header: str, method: str) -> None:
    params = {**UNNAMED[method], "metadata": BY_EXTENSION}
    asked = {header: f"urn:unknown:v1, {A2A_SKILL_EXTENSION}"}
    version = "1.0" if method == "SendMessage" else None
    async with open_post(gateway, envelope(method, params), version=version, **asked) as response:
        assert "result" in await response.json()
        assert response.headers[header] == A2A_SKILL_EXTENSION

"""Inputs before a flow starts, to a client of 2026-07-28: what is asked, what is taken, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.protocols.http.keys import SEALING
from tests.support.asking import (
    ALICE,
    CONFIRMED,
    EVERYTHING,
    LISTED,
    SAID,
    SIGN_IN,
    TOOLS,
    USER_NAME,
    ask_tool,
    asked,
    asking,
)
from tests.support.gateway import Gateway
from tests.support.mcp import Actor, conforms, post, serve_tools, start_mcp, stateless_body, stateless_headers
from tests.support.standing import AT_REST

INVALID = {"code": -32602, "message": "Invalid or expired requestState"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_mcp(database_url, keepalive_interval=0.2) as made:
        serve_tools(made, TOOLS)
        yield made


@pytest.fixture
def asking_gateway(standing: Gateway) -> Gateway:
    """The standing gateway, with tools that ask."""
    serve_tools(standing, TOOLS)
    return standing


@pytest.fixture
def actor(gateway: Gateway) -> Actor:
    return Actor(gateway)


async def started(gateway: Gateway, actor: Actor, name: str, arguments: Any = None, **params: Any) -> dict[str, Any]:
    """Make a call that starts its task; what the first actor gets."""
    call = asyncio.create_task(ask_tool(gateway, name, arguments, **params))
    task_id, envelope = await actor.take()
    await actor.end(task_id, result={"done": True})
    status, answer = await call
    assert (status, answer["result"]["resultType"]) == (200, "complete")
    payload: dict[str, Any] = envelope["payload"]
    return payload


async def error_of(gateway: Gateway, name: str, arguments: Any = None, **params: Any) -> dict[str, Any]:
    status, answer = await ask_tool(gateway, name, arguments, **params)
    assert status == 400, answer
    conforms(answer, "JSONRPCErrorResponse")
    error: dict[str, Any] = answer["error"]
    return error


async def request_of(gateway: Gateway, method: str, params: dict[str, Any]) -> Any:
    """The answer to a request of a client that can be asked everything."""
    meta = {"io.modelcontextprotocol/clientCapabilities": EVERYTHING}
    body = stateless_body(method, {**params, "_meta": meta})
    return (await post(gateway, body, stateless_headers(body)))[1]


async def test_the_answers_reach_the_flow_under_the_input_key(gateway: Gateway, actor: Actor) -> None:
    """patterns/mrtr, "Basic Workflow": the client retries with inputResponses and the exact requestState."""
    first = await asked(gateway, "name", {"who": "x"})
    assert first["inputRequests"]["user_name"]["method"] == "elicitation/create"
    assert "ttlMs" not in first
    assert await gateway.stored() == 0
    state = first["requestState"]
    payload = await started(
        gateway, actor, "name", {"who": "x"}, inputResponses={"user_name": ALICE}, requestState=state
    )
    assert payload == {"who": "x", "input": {"user_name": ALICE}}


async def test_the_key_of_the_answers_is_the_flows(gateway: Gateway, actor: Actor) -> None:
    payload = await started(gateway, actor, "elsewhere", inputResponses={"user_name": ALICE})
    assert payload == {"answers": {"user_name": ALICE}}


async def test_one_round_asks_several_inputs_of_every_kind(gateway: Gateway, actor: Actor) -> None:
    """patterns/mrtr: "inputRequests values are request objects that MUST be one of ElicitRequest,
    CreateMessageRequest, or ListRootsRequest"; texts quote arguments."""
    first = await asked(gateway, "several", {"who": "Bob"})
    requests = first["inputRequests"]
    assert {key: request["method"] for key, request in requests.items()} == {
        "user_name": "elicitation/create", "greeting": "sampling/createMessage", "folders": "roots/list",
    }  # fmt: skip
    assert requests["greeting"]["params"] == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Greet Bob"}}],
        "maxTokens": 50,
        "systemPrompt": "Be kind to Bob.",
    }
    responses = {"user_name": ALICE, "greeting": {**SAID, "more": 1}, "folders": LISTED}
    more = {"inputResponses": responses, "requestState": first["requestState"]}
    payload = await started(gateway, actor, "several", {"who": "Bob"}, **more)
    assert payload["input"] == {"user_name": ALICE, "greeting": SAID, "folders": LISTED}


async def test_rounds_follow_one_another_and_quote_earlier_answers(gateway: Gateway, actor: Actor) -> None:
    """patterns/mrtr: "Servers MAY choose to return an InputRequiredResult on multiple attempts at the same request"."""
    arguments = {"who": "it"}
    first = await asked(gateway, "delete", arguments)
    second = await asked(
        gateway, "delete", arguments, inputResponses={"user_name": ALICE}, requestState=first["requestState"]
    )
    assert list(second["inputRequests"]) == ["confirm"]
    assert second["inputRequests"]["confirm"]["params"]["message"] == "Delete it, Alice?"
    assert second["requestState"] != first["requestState"]
    more = {"inputResponses": {"confirm": CONFIRMED}, "requestState": second["requestState"]}
    payload = await started(gateway, actor, "delete", arguments, **more)
    assert payload["input"] == {"user_name": ALICE, "confirm": CONFIRMED}


async def test_missing_responses_are_asked_again_and_given_ones_are_kept(gateway: Gateway, actor: Actor) -> None:
    """patterns/mrtr, "Error Handling": "the server SHOULD respond with a new InputRequiredResult requesting the missing
    information again, rather than returning an error"."""
    first = await asked(gateway, "several")
    again = await asked(
        gateway, "several", inputResponses={"user_name": ALICE, "wrong_key": {}}, requestState=first["requestState"]
    )
    assert set(again["inputRequests"]) == {"greeting", "folders"}
    more = {"inputResponses": {"greeting": SAID, "folders": LISTED}, "requestState": again["requestState"]}
    payload = await started(gateway, actor, "several", **more)
    assert payload["input"]["user_name"] == ALICE


async def test_the_first_request_may_bring_responses_and_unknown_keys_are_ignored(
    gateway: Gateway, actor: Actor
) -> None:
    """patterns/mrtr, "Error Handling": "the server SHOULD ignore any information it does not recognize or need"."""
    responses = {"user_name": {**ALICE, "content": {"name": "Alice", "admin": True}}, "extra": {"action": "accept"}}
    payload = await started(gateway, actor, "name", inputResponses=responses)
    assert payload == {"input": {"user_name": ALICE}}


async def test_content_that_breaks_the_form_is_asked_again_with_the_reason(gateway: Gateway, actor: Actor) -> None:
    responses = {"user_name": {"action": "accept", "content": {"name": 7}}}
    again = await asked(gateway, "name", inputResponses=responses)
    message = again["inputRequests"]["user_name"]["params"]["message"]
    assert message.startswith("What is your name?\n\n(The last answer was not taken: name: ")
    state = again["requestState"]
    await started(gateway, actor, "name", inputResponses={"user_name": ALICE}, requestState=state)


@pytest.mark.parametrize(
    ("responses", "where"),
    [
        (None, "inputResponses"),
        (7, "inputResponses"),
        ([], "inputResponses"),
        ({"user_name": 12345}, "inputResponses.user_name"),
        ({"user_name": None}, "inputResponses.user_name"),
        ({"user_name": {}}, "inputResponses.user_name: action"),
        ({"user_name": {"action": "maybe"}}, "inputResponses.user_name: action"),
        ({"user_name": {"action": ["accept"]}}, "inputResponses.user_name: action"),
        ({"user_name": {"action": "accept"}}, "inputResponses.user_name: content"),
        ({"user_name": {"action": "accept", "content": [1]}}, "inputResponses.user_name: content"),
        ({"greeting": {"role": "system", "content": {"type": "text"}, "model": "m"}}, "inputResponses.greeting: role"),
        ({"greeting": {"role": "user", "content": {"type": "text"}}}, "inputResponses.greeting: model"),
        ({"greeting": {"role": "user", "content": [{"type": 1}], "model": "m"}}, "inputResponses.greeting: content"),
        ({"folders": {"roots": {}}}, "inputResponses.folders: roots"),
        ({"folders": {"roots": [{"uri": 1}]}}, "inputResponses.folders: roots[0]"),
        ({"folders": {"roots": [{"uri": "http://a"}]}}, "inputResponses.folders: roots[0]"),
        ({"folders": {"roots": [{"uri": "file:///a", "name": 1}]}}, "inputResponses.folders: roots[0]"),
    ],
)
@AT_REST
async def test_a_response_of_the_wrong_type_is_refused_with_its_name(
    asking_gateway: Gateway, responses: Any, where: str
) -> None:
    """patterns/mrtr, "Error Handling": "Servers SHOULD validate that the data provided by the client is a valid
    InputResponses object"."""
    error = await error_of(asking_gateway, "several", inputResponses=responses)
    assert error["code"] == -32602
    assert error["message"].startswith(f"{where}: ")
    assert ": expected " in error["message"]
    assert await asking_gateway.stored() == 0


async def test_only_inputs_whose_capability_is_declared_are_asked(gateway: Gateway, actor: Actor) -> None:
    """patterns/mrtr: "Servers MUST NOT send an inputRequests that the client has not declared support for"; the flow
    finds null in its place."""
    only: dict[str, Any] = {"capabilities": {"sampling": {}}}
    first = await asked(gateway, "several", **only)
    assert list(first["inputRequests"]) == ["greeting"]
    more = {"inputResponses": {"greeting": SAID}, "requestState": first["requestState"]}
    payload = await started(gateway, actor, "several", **only, **more)
    assert payload["input"] == {"user_name": None, "greeting": SAID, "folders": None}


@pytest.mark.parametrize(
    ("name", "capabilities", "required"),
    [
        ("name", {}, {"elicitation": {"form": {}}}),
        ("name", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        ("name", {"elicitation": []}, {"elicitation": {"form": {}}}),
        ("needs-sampling", {"elicitation": {}, "roots": {}}, {"sampling": {}}),
        ("several", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}),
    ],
)
@AT_REST
async def test_a_client_that_can_be_asked_nothing_is_told_what_it_lacks(
    asking_gateway: Gateway, name: str, capabilities: Any, required: Any
) -> None:
    """basic, "Error Codes": MissingRequiredClientCapability, with requiredCapabilities as a ClientCapabilities object;
    HTTP 400."""
    status, answer = await ask_tool(asking_gateway, name, capabilities=capabilities)
    assert (status, answer["error"]["code"]) == (400, -32021)
    assert answer["error"]["data"] == {"requiredCapabilities": required}
    conforms(answer, "MissingRequiredClientCapabilityError")


async def test_a_bad_answer_to_what_the_client_cannot_be_asked_again_is_a_missing_capability(gateway: Gateway) -> None:
    unfit = {"user_name": {"action": "accept", "content": {}}}
    error = await error_of(gateway, "several", capabilities={"sampling": {}}, inputResponses=unfit)
    assert error["data"] == {"requiredCapabilities": {"elicitation": {"form": {}}}}


@pytest.fixture
async def public(database_url: str) -> AsyncIterator[Gateway]:
    """A gateway that is reached from outside."""
    async with start_mcp(database_url, public_url="https://gateway.example") as made:
        serve_tools(made, TOOLS)
        yield made


async def test_a_url_is_asked_with_encoded_arguments(public: Gateway) -> None:
    """client/elicitation, "URL Mode": `mode: "url"`, a message and a valid URL."""
    gateway, actor = public, Actor(public)
    first = await asked(gateway, "opens", {"who": "a b&c=/../d"})
    params = first["inputRequests"]["login"]["params"]
    url = "https://a.example/in?who=a%20b%26c%3D%2F..%2Fd"
    assert params == {"mode": "url", "message": "Sign in", "url": url}
    more = {"inputResponses": {"login": {"action": "accept"}}, "requestState": first["requestState"]}
    payload = await started(gateway, actor, "opens", {"who": "a b&c=/../d"}, **more)
    assert payload["input"] == {"login": {"action": "accept"}}


async def test_a_url_is_asked_of_those_who_open_urls(public: Gateway) -> None:
    error = await error_of(public, "opens", capabilities={"elicitation": {}})
    assert error["code"] == -32021
    assert error["data"] == {"requiredCapabilities": {"elicitation": {"url": {}}}}


async def test_no_url_is_asked_without_a_public_url_of_the_gateway(gateway: Gateway, actor: Actor) -> None:
    """As in a pause. No capability of the client would help, so none is said to be missing."""
    declared: list[dict[str, Any]] = [EVERYTHING, {"elicitation": {}}, {}]
    for capabilities in declared:
        status, answer = await ask_tool(gateway, "opens", capabilities=capabilities)
        assert (status, answer["error"]["code"]) == (200, -32603)
        assert "ASYA_PUBLIC_URL" in answer["error"]["message"]
    assert await gateway.stored() == 0
    both = asking("both", {"login": SIGN_IN, "user_name": USER_NAME})
    serve_tools(gateway, [both], generation=2)
    first = await asked(gateway, "both")
    assert list(first["inputRequests"]) == ["user_name"]
    more = {"inputResponses": {"user_name": ALICE}, "requestState": first["requestState"]}
    assert (await started(gateway, actor, "both", **more))["input"] == {"login": None, "user_name": ALICE}
    assert (await error_of(gateway, "both", capabilities={}))["data"] == {
        "requiredCapabilities": {"elicitation": {"form": {}}}
    }


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_declined_input_refuses_the_call(gateway: Gateway, action: str) -> None:
    status, answer = await ask_tool(gateway, "name", inputResponses={"user_name": {"action": action}})
    assert (status, answer["result"]["isError"]) == (200, True)
    assert "The input user_name" in answer["result"]["content"][0]["text"]
    assert await gateway.stored() == 0


async def test_a_declined_input_may_be_left_to_the_flow(gateway: Gateway, actor: Actor) -> None:
    payload = await started(gateway, actor, "continues", inputResponses={"user_name": {"action": "cancel"}})
    assert payload == {"input": {"user_name": {"action": "cancel"}}}


async def test_a_declined_input_may_be_asked_again_but_not_for_ever(gateway: Gateway) -> None:
    declined = {"user_name": {"action": "decline"}}
    first = await asked(gateway, "waits", inputResponses=declined)
    second = await asked(gateway, "waits", inputResponses=declined, requestState=first["requestState"])
    _, answer = await ask_tool(gateway, "waits", inputResponses=declined, requestState=second["requestState"])
    assert answer["result"]["isError"] is True


async def test_wrong_arguments_are_told_before_anybody_is_asked(gateway: Gateway) -> None:
    _, answer = await ask_tool(gateway, "name", {"who": 7})
    assert answer["result"]["isError"] is True
    assert "/who" in answer["result"]["content"][0]["text"]


async def test_a_model_cannot_answer_for_the_person_it_would_be_asked_of(gateway: Gateway) -> None:
    _, answer = await ask_tool(gateway, "name", {"input": {"user_name": ALICE}})
    assert answer["result"]["isError"] is True
    assert "/input: expected no answers" in answer["result"]["content"][0]["text"]
    assert await gateway.stored() == 0


class TestStates:
    async def state(self, gateway: Gateway, name: str = "name", **more: Any) -> str:
        state: str = (await asked(gateway, name, **more))["requestState"]
        return state

    @pytest.mark.parametrize(
        "change",
        [
            lambda state: state + "-TAMPERED",
            lambda state: state + "=",
            lambda state: state[:-1],
            lambda state: state[:-1] + ("A" if state[-1] != "A" else "B"),
            lambda state: "B" + state[1:],
            lambda state: state[:60] + ("A" if state[60] != "A" else "B") + state[61:],
            lambda state: "",
            lambda state: "x" * (256 * 1024 + 1),
            lambda state: None,
            lambda state: 7,
            lambda state: {"state": state},
            lambda state: "\ud800é",
        ],
        ids=["more", "padding", "less", "last", "first", "middle", "empty", "huge", "null", "number", "object", "odd"],
    )  # fmt: skip
    @AT_REST
    async def test_a_changed_state_is_refused(self, asking_gateway: Gateway, change: Any) -> None:
        """patterns/mrtr: servers "MUST reject state that fails verification"."""
        state = change(await self.state(asking_gateway))
        assert (
            await error_of(asking_gateway, "name", inputResponses={"user_name": ALICE}, requestState=state) == INVALID
        )

    async def test_a_state_is_of_one_flow_and_its_arguments(self, gateway: Gateway) -> None:
        """patterns/mrtr: "rejecting state presented on a request that does not match"."""
        state = await self.state(gateway, arguments={"who": "x"})
        answers = {"inputResponses": {"user_name": ALICE}, "requestState": state}
        assert await error_of(gateway, "name", {"who": "y"}, **answers) == INVALID
        assert await error_of(gateway, "waits", {"who": "x"}, **answers) == INVALID

    async def test_a_state_is_of_one_method(self, gateway: Gateway) -> None:
        both = {**TOOLS[0], "mcp": {**TOOLS[0]["mcp"], "prompt": {}}}
        serve_tools(gateway, [both], generation=2)
        params = {"name": "name", "arguments": {"who": "x"}}
        methods = ("tools/call", "prompts/get")
        states = {each: (await request_of(gateway, each, params))["result"]["requestState"] for each in methods}
        # The second round declines, so that a state that fits starts nothing either.
        retry = {**params, "inputResponses": {"user_name": {"action": "decline"}}}
        for method, other in (methods, methods[::-1]):
            assert (await request_of(gateway, method, {**retry, "requestState": states[other]}))["error"] == INVALID
            fits = await request_of(gateway, method, {**retry, "requestState": states[method]})
            assert "The input user_name" in str(fits)

    @pytest.mark.parametrize(("seconds", "good"), [(290, True), (301, False)])
    async def test_a_state_is_good_for_five_minutes(
        self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, seconds: float, good: bool
    ) -> None:
        """patterns/mrtr: "SHOULD include an expiry in the integrity-protected state"."""
        sealing: Any = gateway.app[SEALING]
        state, clock = await self.state(gateway, "delete"), sealing._clock
        monkeypatch.setattr(sealing, "_clock", lambda: clock() + seconds)
        _, answer = await ask_tool(gateway, "delete", inputResponses={"user_name": ALICE}, requestState=state)
        assert (answer.get("error") == INVALID, "result" in answer) == (not good, good)

    async def test_a_flow_that_now_asks_something_else_begins_again(self, gateway: Gateway) -> None:
        state = await self.state(gateway)
        changed = [{**TOOLS[3], "name": "name"}]
        serve_tools(gateway, changed, generation=2)
        assert await error_of(gateway, "name", inputResponses={"user_name": ALICE}, requestState=state) == INVALID

    async def test_a_flow_that_asks_nothing_takes_no_state(self, gateway: Gateway) -> None:
        state = await self.state(gateway)
        serve_tools(gateway, [{"name": "name", "entrypoint": "first", "mcp": {}}], generation=2)
        assert await error_of(gateway, "name", requestState=state) == INVALID

    async def test_the_same_retry_twice_makes_one_task(self, gateway: Gateway, actor: Actor) -> None:
        state = await self.state(gateway)
        more: dict[str, Any] = {"inputResponses": {"user_name": ALICE}, "requestState": state}
        calls = [asyncio.create_task(ask_tool(gateway, "name", **more)) for _ in range(2)]
        task_id, _ = await actor.take()
        await actor.end(task_id, result={"done": True})
        one, other = await asyncio.gather(*calls)
        assert one[1]["result"] == other[1]["result"]
        assert await gateway.stored() == 1

    async def test_a_state_that_was_used_cannot_be_used_with_other_answers(
        self, gateway: Gateway, actor: Actor
    ) -> None:
        state = await self.state(gateway)
        await started(gateway, actor, "name", inputResponses={"user_name": ALICE}, requestState=state)
        bob = {"user_name": {"action": "accept", "content": {"name": "Bob"}}}
        assert await error_of(gateway, "name", inputResponses=bob, requestState=state) == INVALID
        assert await gateway.stored() == 1

    async def test_a_key_of_the_callers_own_comes_first(self, gateway: Gateway, actor: Actor) -> None:
        key = {"Idempotency-Key": "mine"}
        for _ in range(2):
            state = await self.state(gateway)
            more: dict[str, Any] = {"inputResponses": {"user_name": ALICE}, "requestState": state, "headers": key}
            call = asyncio.create_task(ask_tool(gateway, "name", **more))
            if await gateway.stored() == 0:
                task_id, _ = await actor.take()
                await actor.end(task_id, result={"done": True})
            assert (await call)[0] == 200
        assert await gateway.stored() == 1

    async def test_answers_that_fit_into_no_state_are_refused(self, gateway: Gateway) -> None:
        large = {"user_name": {"action": "accept", "content": {"name": "x" * 300_000}}}
        error = await error_of(gateway, "delete", inputResponses=large)
        assert error["message"].startswith("inputResponses: expected answers that fit")


async def test_any_replica_goes_on_with_a_state_of_another(database_url: str) -> None:
    """Without a setting the replicas share a key of the database."""
    async with start_mcp(database_url) as one, start_mcp(database_url) as other:
        serve_tools(one, TOOLS)
        serve_tools(other, TOOLS)
        states = await asyncio.gather(asked(one, "delete"), asked(other, "delete"))
        for gateway, first in ((other, states[0]), (one, states[1])):
            more = {"inputResponses": {"user_name": ALICE}, "requestState": first["requestState"]}
            assert list((await asked(gateway, "delete", **more))["inputRequests"]) == ["confirm"]


async def test_keys_of_the_setting_rotate(database_url: str) -> None:
    old, new = "o" * 32, "n" * 32
    async with start_mcp(database_url, seal_keys=[old]) as before, start_mcp(database_url, seal_keys=[new]) as alone:
        serve_tools(before, TOOLS)
        serve_tools(alone, TOOLS)
        more = {"inputResponses": {"user_name": ALICE}, "requestState": (await asked(before, "delete"))["requestState"]}
        assert await error_of(alone, "delete", **more) == INVALID
        async with start_mcp(database_url, seal_keys=[new, old]) as both:
            serve_tools(both, TOOLS)
            second = await asked(both, "delete", **more)
            more = {"inputResponses": {"confirm": {}}, "requestState": second["requestState"]}
            # The second state is sealed with the new key, which the new pods have.
            assert "inputResponses.confirm: action" in (await error_of(alone, "delete", **more))["message"]


async def test_every_capability_is_of_its_own_request(gateway: Gateway) -> None:
    """basic, "Statelessness": capabilities are never inferred from earlier requests."""
    await asked(gateway, "name", capabilities=EVERYTHING)
    assert (await error_of(gateway, "name", capabilities={}))["code"] == -32021


OFFERED: list[dict[str, Any]] = [
    {**TOOLS[0], "mcp": {**TOOLS[0]["mcp"], "tool": False, "prompt": {}}},
    {
        "name": "folder",
        "entrypoint": "first",
        "mcp": {"tool": False, "resource": {"uri": "test://folder"}, "input": [{"folders": {"roots": {}}}]},
    },
]


@pytest.mark.parametrize(
    ("method", "params", "responses"),
    [
        ("prompts/get", {"name": "name"}, {"user_name": ALICE}),
        ("resources/read", {"uri": "test://folder"}, {"folders": LISTED}),
    ],
    ids=["prompt", "resource"],
)
async def test_prompts_and_resources_ask_too(
    gateway: Gateway, actor: Actor, method: str, params: dict[str, Any], responses: Any
) -> None:
    """patterns/mrtr, "Supported Requests": prompts/get, resources/read and tools/call; server/utilities/caching: "MUST
    NOT" be cacheable while input is required, and an answer to given input is stale at once."""
    serve_tools(gateway, OFFERED, generation=2)
    meta = {"io.modelcontextprotocol/clientCapabilities": EVERYTHING}
    body = stateless_body(method, {**params, "_meta": meta})
    _, answer = await post(gateway, body, stateless_headers(body))
    first = answer["result"]
    conforms(first, "InputRequiredResult")
    assert first["resultType"] == "input_required"
    assert "ttlMs" not in first
    more = {"inputResponses": responses, "requestState": first["requestState"], "_meta": meta}
    body = stateless_body(method, {**params, **more})
    call = asyncio.create_task(post(gateway, body, stateless_headers(body)))
    task_id, envelope = await actor.take()
    assert envelope["payload"]["input"] == responses
    await actor.end(task_id, result="done")
    result = (await call)[1]["result"]
    assert (result["resultType"], result.get("ttlMs", 0)) == ("complete", 0)
    declined = {"inputResponses": {key: {"action": "decline"} for key in responses}, "_meta": meta}
    body = stateless_body(method, {**params, **declined})
    status, answer = await post(gateway, body, stateless_headers(body))
    assert (status, answer["error"]["code"]) == (400, -32602)

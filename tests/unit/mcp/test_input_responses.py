"""What clients answer to inputs, and sampling per revision."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds.answers import AnswerAction, InputMethod
from asya_gateway.domain.inputs import answer_schema
from asya_gateway.domain.pause import Input
from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.input_responses import GivenAnswer, InvalidResponse, read_response, refused
from asya_gateway.protocols.mcp.sampling import NotSampling, sampling_params
from asya_gateway.protocols.mcp.versions import Revision
from asya_schemas.compiling import compile_schema
from tests.support.inputs import ALL_KINDS, LISTED, SAMPLED, SUMMARY
from tests.support.mcp import conforms, validator

NOT_OBJECTS: list[Any] = [None, [], "accept", 5, True]
INPUTS = {key: Input(key, InputMethod(each["method"]), each.get("params", {})) for key, each in ALL_KINDS.items()}
TEXT = {"type": "text", "text": "a"}
IMAGE = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}
USE = {"type": "tool_use", "id": "1", "name": "look", "input": {}}
USED: dict[str, Any] = {"type": "tool_result", "toolUseId": "1", "content": [TEXT]}
SAYS, ASKS, ANSWERS = (
    {"role": role, "content": content} for role, content in (("user", TEXT), ("assistant", USE), ("user", [USED]))
)
TOOLS = [{"name": "look", "inputSchema": {"type": "object"}}]
ALL_OF_SAMPLING = ClientCapabilities({"sampling": {"tools": {}, "context": {}}})


def read(key: str, value: Any, revision: Revision = Revision.JULY_2026, **more: Any) -> GivenAnswer:
    return read_response(INPUTS[key], value, revision, **more)


@pytest.mark.parametrize(
    ("key", "value", "answer"),
    [
        ("name", {"action": "accept", "content": {"name": "Ada"}}, GivenAnswer(AnswerAction.ACCEPT, {"name": "Ada"})),
        (
            "name",
            {"action": "accept", "content": {"a": 1.5, "b": True, "c": ["x"]}, "_meta": {}},
            GivenAnswer(AnswerAction.ACCEPT, {"a": 1.5, "b": True, "c": ["x"]}),
        ),
        ("name", {"action": "decline"}, GivenAnswer(AnswerAction.DECLINE)),
        ("name", {"action": "cancel", "content": {"name": "Ada"}}, GivenAnswer(AnswerAction.CANCEL)),
        ("sign_in", {"action": "accept"}, GivenAnswer(AnswerAction.ACCEPT)),
        ("sign_in", {"action": "accept", "content": {}}, GivenAnswer(AnswerAction.ACCEPT)),
        ("sign_in", {"action": "decline"}, GivenAnswer(AnswerAction.DECLINE)),
        ("summary", SAMPLED | {"_meta": {"x": 1}, "resultType": "complete"}, GivenAnswer(AnswerAction.ACCEPT, SAMPLED)),
        ("folders", LISTED | {"_meta": {}}, GivenAnswer(AnswerAction.ACCEPT, LISTED)),
        ("folders", {"roots": []}, GivenAnswer(AnswerAction.ACCEPT, {"roots": []})),
    ],
)
def test_a_result_becomes_an_action_and_an_answer(key: str, value: Any, answer: GivenAnswer) -> None:
    assert read(key, value) == answer


def test_going_to_the_pauses_url_is_consent_and_no_answer() -> None:
    """client/elicitation, "URL Mode": accept "does not mean that the interaction is complete"."""
    assert read("name", {"action": "accept"}, url="https://x.example.com") == GivenAnswer(AnswerAction.CONSENT)
    accepted = {"action": "accept", "content": {"name": "Ada"}}
    assert read("name", accepted, url="https://x.example.com").action is AnswerAction.ACCEPT


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        *((key, value, "expected an object") for key in INPUTS for value in NOT_OBJECTS),
        ("name", {}, "action: expected one of accept, decline, cancel"),
        ("name", {"action": "consent"}, "action"),
        ("name", {"action": True}, "action"),
        ("name", {"action": ["accept"]}, "action"),
        ("name", {"action": "accept"}, "content: expected an object"),
        ("name", {"action": "accept", "content": [1]}, "content: expected an object"),
        ("name", {"action": "accept", "content": {"a": {}}}, "content.a"),
        ("name", {"action": "decline", "content": None}, "content: expected an object"),
        ("sign_in", {"action": "accept", "content": []}, "content: expected an object"),
        ("name", {"action": "accept", "content": {"a": None}}, "content.a"),
        ("name", {"action": "accept", "content": {"a": [1]}}, "content.a"),
        ("summary", {"action": "accept"}, "role"),
        ("summary", SAMPLED | {"role": "system"}, "role"),
        ("summary", SAMPLED | {"role": ["user"]}, "role"),
        ("summary", SAMPLED | {"model": None}, "model"),
        ("summary", SAMPLED | {"stopReason": 1}, "stopReason"),
        ("summary", SAMPLED | {"content": "text"}, "content"),
        ("summary", SAMPLED | {"content": {"type": "resource"}}, "content"),
        ("summary", {key: value for key, value in SAMPLED.items() if key != "content"}, "content"),
        ("folders", {"action": "accept"}, "roots: expected a list"),
        ("folders", {"roots": {}}, "roots: expected a list"),
        ("folders", {"roots": [{"uri": "https://x"}]}, r"roots\[0\]"),
        ("folders", {"roots": [{"uri": "file:///a"}, {"uri": "file:///b", "name": 1}]}, r"roots\[1\]"),
        ("folders", {"roots": ["file:///a"]}, r"roots\[0\]"),
    ],
)
def test_a_value_of_the_wrong_type_is_never_an_answer(key: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidResponse, match=words):
        read(key, value)


def test_an_error_in_place_of_a_result_declines() -> None:
    """client/sampling, "Error Handling": "User rejected sampling request: -1"."""
    assert refused(-1) == GivenAnswer(AnswerAction.DECLINE)
    assert refused(-32601) == GivenAnswer(AnswerAction.CANCEL)


@pytest.mark.parametrize(
    ("content", "since"),
    [
        (TEXT, Revision.NOVEMBER_2024),
        (IMAGE, Revision.NOVEMBER_2024),
        (AUDIO, Revision.MARCH_2025),
        ([TEXT, IMAGE], Revision.NOVEMBER_2025),
        (USE, Revision.NOVEMBER_2025),
        ([USED], Revision.NOVEMBER_2025),
        ({"type": "resource", "resource": {"uri": "a:b", "text": "x"}}, None),
        ({"type": "tool_use", "id": "1", "name": "look"}, None),
        (USED | {"content": "text"}, None),
        ({"type": "text"}, None),
    ],
)
@pytest.mark.parametrize("revision", list(Revision))
def test_sampling_has_the_content_of_its_revision(content: Any, since: Revision | None, revision: Revision) -> None:
    known = since is not None and revision >= since
    turn = {"role": "user", "content": content}
    # Uses of tools and their results stand beside each other only.
    messages = [ASKS, ANSWERS] if content in (USE, [USED]) else [turn]
    params = {"messages": messages, "maxTokens": 1}
    result = SAMPLED | {"content": content}
    if known:
        kept = sampling_params(params, revision, ALL_OF_SAMPLING)
        assert (kept, read("summary", result, revision).answer) == (params, result)
        whole = {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": kept}
        conforms(whole, "CreateMessageRequest", str(revision))
    else:
        with pytest.raises(NotSampling, match="content"):
            sampling_params(params, revision, ALL_OF_SAMPLING)
        with pytest.raises(InvalidResponse, match="content"):
            read("summary", result, revision)


ALSO = {**USE, "id": "2"}
ALSO_USED = {**USED, "toolUseId": "2"}


@pytest.mark.parametrize(
    "messages",
    [
        [ASKS, ANSWERS],
        [
            SAYS,
            {"role": "assistant", "content": [TEXT, USE, ALSO]},
            {"role": "user", "content": [ALSO_USED, USED]},
            SAYS,
        ],
        [ASKS, ANSWERS, {"role": "assistant", "content": ALSO}, {"role": "user", "content": ALSO_USED}],
    ],
)
def test_each_use_of_a_tool_is_followed_by_its_result(messages: list[Any]) -> None:
    """client/sampling: "each ToolUseContent item is responded to with a ToolResultContent item"."""
    params = {"messages": messages, "maxTokens": 1}
    assert sampling_params(params, Revision.JULY_2026, ALL_OF_SAMPLING) == params


@pytest.mark.parametrize(
    "messages",
    [
        [ASKS],
        [ANSWERS],
        [ASKS, SAYS, ANSWERS],
        [ASKS, {"role": "user", "content": [USED, TEXT]}],
        [ASKS, {"role": "user", "content": [USED, ALSO_USED]}],
        [ASKS, {"role": "user", "content": ALSO_USED}],
        [ASKS, {"role": "assistant", "content": [USED]}],
        [{"role": "assistant", "content": [USE, ALSO]}, ANSWERS],
        [{"role": "user", "content": USE}, ANSWERS],
    ],
)
def test_another_order_of_uses_and_results_is_not_sent(messages: list[Any]) -> None:
    """client/sampling: "When a user message contains tool results (type: "tool_result"), it MUST contain ONLY tool
    results." Models refuse it."""
    with pytest.raises(NotSampling, match=r"messages\[\d\]: expected"):
        sampling_params({"messages": messages, "maxTokens": 1}, Revision.JULY_2026, ALL_OF_SAMPLING)


def test_null_members_of_content_are_left_out() -> None:
    """Serializers write them for absent ones, and SDKs refuse them."""
    null = TEXT | {"annotations": None, "_meta": None}
    params = {"messages": [{"role": "user", "content": null}], "maxTokens": 1}
    assert sampling_params(params, Revision.JULY_2026, ALL_OF_SAMPLING) == {
        "messages": [{"role": "user", "content": TEXT}],
        "maxTokens": 1,
    }
    assert read("summary", SAMPLED | {"content": null}, Revision.JULY_2026).answer["content"] == TEXT


@pytest.mark.parametrize(
    "more",
    [
        {"systemPrompt": "Be brief", "temperature": 0.5, "stopSequences": ["."], "metadata": {"a": 1}},
        {"includeContext": "thisServer"},
        {"modelPreferences": {"hints": [{"name": "m"}, {}], "costPriority": 0, "speedPriority": 0.5}},
    ],
)
@pytest.mark.parametrize("revision", list(Revision))
def test_members_of_sampling_pass_verbatim(more: dict[str, Any], revision: Revision) -> None:
    params = SUMMARY["params"] | more
    kept = sampling_params(params, revision, ALL_OF_SAMPLING)
    assert kept == params
    whole = {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": kept}
    conforms(whole, "CreateMessageRequest", str(revision))


@pytest.mark.parametrize(
    "more",
    [
        {"systemPrompt": 5},
        {"temperature": True},
        {"stopSequences": "a"},
        {"includeContext": "everything"},
        {"includeContext": []},
        {"metadata": []},
        {"modelPreferences": {"hints": {}}},
        {"modelPreferences": {"costPriority": 2}},
        {"modelPreferences": []},
        {"tools": {}},
        {"tools": [{"name": "look"}]},
        {"toolChoice": {"mode": "maybe"}},
    ],
)
def test_members_of_another_type_are_not_sent(more: dict[str, Any]) -> None:
    with pytest.raises(NotSampling, match=next(iter(more))):
        sampling_params(SUMMARY["params"] | more, Revision.JULY_2026, ALL_OF_SAMPLING)


def test_tools_and_context_are_for_clients_that_have_declared_them() -> None:
    """2025-11-25: "Servers MUST NOT send tool-enabled sampling requests to clients that have not declared"
    sampling.tools."""
    params = SUMMARY["params"] | {"tools": TOOLS, "toolChoice": {"mode": "auto"}}
    assert sampling_params(params, Revision.NOVEMBER_2025, ALL_OF_SAMPLING) == params
    with pytest.raises(NotSampling, match=r"sampling\.tools"):
        sampling_params(params, Revision.NOVEMBER_2025, ClientCapabilities({"sampling": {}}))
    with pytest.raises(NotSampling, match="tools: not in revision 2025-06-18"):
        sampling_params(params, Revision.JUNE_2025, ALL_OF_SAMPLING)
    context = SUMMARY["params"] | {"includeContext": "allServers", "task": {}, "_meta": {"progressToken": 1}}
    assert sampling_params(context, Revision.JULY_2026, ClientCapabilities({"sampling": {}})) == SUMMARY["params"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["accept", "user", "file:///a", "m", "text"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["action", "content", "role", "model", "roots", "uri", "name", "type", "text", "stopReason"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_RESULTS = {
    "name": "ElicitResult",
    "sign_in": "ElicitResult",
    "summary": "CreateMessageResult",
    "folders": "ListRootsResult",
}

elicited = st.fixed_dictionaries(
    {"action": st.sampled_from(["accept", "decline", "cancel"])},
    optional={"content": json_values, "_meta": st.just({})},
)
created = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "x"]),
        "model": st.sampled_from(["m", 1]),
        "content": st.sampled_from([TEXT, [TEXT], USED, IMAGE, {"type": "text"}]) | json_values,
    },
    optional={"stopReason": st.sampled_from(["endTurn", None])},
)
roots_listed = st.fixed_dictionaries(
    {"roots": st.lists(st.sampled_from([*LISTED["roots"], {"uri": 1}, "a"])) | json_values}
)


@pytest.mark.parametrize("key", INPUTS)
@given(value=json_values | elicited | created | roots_listed)
def test_what_is_read_is_a_result_of_the_protocol_that_the_task_takes(key: str, value: Any) -> None:
    """An accepted answer of a form is checked against its schema afterwards; of the others nothing is left to check."""
    try:
        found = read(key, value)
    except InvalidResponse:
        return
    assert validator("2026-07-28", _RESULTS[key]).is_valid(value)
    if found.action is AnswerAction.ACCEPT and key != "name":
        assert not compile_schema(answer_schema(INPUTS[key]))(found.answer)

"""What an actor may ask: read or refused with the field, and stored as it is asked."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.answers import AnswerAction, InputMethod, OnDecline
from asya_crds.links import check_link
from asya_gateway.domain.errors import Conflict, InvalidInput
from asya_gateway.domain.inputs import answer_schema, asked_by, places_of, result_of, stays_open, with_action
from asya_gateway.domain.pause import Input, Pause
from asya_gateway.domain.pausing import read_pause
from asya_schemas.compiling import compile_schema
from tests.support.inputs import ALL_KINDS, CONSENT_AT, FOLDERS, NAME, SUMMARY

ASKED = read_pause({"inputs": ALL_KINDS}, "p")
scalars = st.sampled_from(
    [None, True, 0, 1.5, "", "name", "object", "form", "url", "https://example.com", "roots/list", "fail", "a/b"]
)
values = st.recursive(
    scalars | st.sampled_from([NAME, FOLDERS, NAME["params"], ALL_KINDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "method", "a/b"]), inner),
    max_leaves=8,
)
members = st.sampled_from(
    ["prompt", "fields", "schema", "data", "inputs", "url", "on_decline", "status", "pause_id", "other"]
)


@given(st.dictionaries(members, values, max_size=5) | values)
def test_any_question_is_read_or_refused_with_its_field(metadata: Any) -> None:
    field: str | None = None
    pause: Pause | None = None
    try:
        pause = read_pause(metadata, "p")
    except InvalidInput as error:
        field = error.field
    if pause is None:
        assert field is not None
        assert field.startswith("pause_metadata")
        return
    assert Pause.from_dict(jsontext.loads(jsontext.dumps(pause.as_dict()))) == pause
    for asked in pause.inputs:
        compile_schema(answer_schema(asked))


@pytest.mark.parametrize(
    ("question", "field", "words"),
    [
        ({"inputs": {}}, "inputs", "expected 1 to 16 inputs"),
        ({"inputs": {f"k{number}": FOLDERS for number in range(17)}}, "inputs", "expected 1 to 16 inputs"),
        ({"inputs": []}, "inputs", "expected an object"),
        ({"inputs": {"a/b": FOLDERS}}, "inputs", "letters, digits or"),
        ({"inputs": {"k": {}}}, "inputs.k.method", "required field is missing"),
        ({"inputs": {"k": {"method": "tools/call"}}}, "inputs.k.method", "expected one of elicitation/create"),
        ({"inputs": {"k": NAME | {"params": {}}}}, "inputs.k.params.message", "required field is missing"),
        (
            {"inputs": {"k": NAME | {"params": {"message": "?", "mode": "voice"}}}},
            "inputs.k.params.mode",
            "form or url",
        ),
        (
            {"inputs": {"k": NAME | {"params": {"message": "?", "requestedSchema": {"type": "string"}}}}},
            "inputs.k.params.requestedSchema",
            "type object",
        ),
        ({"inputs": {"k": SUMMARY | {"params": {"messages": []}}}}, "inputs.k.params.messages", "list of messages"),
        (
            {"inputs": {"k": SUMMARY | {"params": SUMMARY["params"] | {"maxTokens": 0}}}},
            "inputs.k.params.maxTokens",
            "integer",
        ),
        (
            {"inputs": {"k": CONSENT_AT | {"params": CONSENT_AT["params"] | {"url": "javascript:alert(1)"}}}},
            "inputs.k.params.url",
            "https",
        ),
        ({"inputs": {"k": FOLDERS | {"x": "y" * 300_000, "params": {"x": "y" * 300_000}}}}, "inputs", "262144 bytes"),
        ({"inputs": {"k": FOLDERS}, "fields": [{"name": "a"}]}, "inputs", "either inputs"),
        ({"url": "/relative"}, "url", "https"),
        ({"url": "http://example.com/"}, "url", "loopback"),
        ({"url": "https://user:secret@example.com/"}, "url", "without user and password"),
        ({"url": "https://example.com/ x"}, "url", "ASCII"),
        ({"on_decline": "retry"}, "on_decline", "expected one of wait, fail, continue"),
        ({"status": "failed"}, "status", "expected one of paused, auth_required"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_its_field(
    question: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as refusal:
        read_pause(question, "p")
    assert refusal.value.field == f"pause_metadata.{field}"


def test_an_answered_input_is_not_shown_and_the_rest_is_as_it_was() -> None:
    after = ASKED.after({"name", "sign_in"}, {"folders": ["mcp", "a2a"]})
    shown = after.as_dict()
    assert list(shown["inputs"]) == ["summary", "folders"]
    assert shown["schema"]["required"] == ["summary", "folders"]
    assert [each.key for each in after.open_on("mcp")] == ["summary"]
    assert after.keys == ASKED.keys
    assert ASKED.after((), {}) is ASKED


def test_a_pause_without_inputs_is_one_form_under_its_id() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    pause = Pause("p", "Go on?", schema, [])
    form = Input("p", InputMethod.ELICITATION, {"message": "Go on?", "requestedSchema": schema})
    assert (pause.open, pause.keys, pause.plain) == ((form,), ("p",), True)
    assert "inputs" not in pause.as_dict()
    assert pause.after((), {"p": ["mcp"]}).open_on("mcp") == ()


def test_the_input_of_a_key_is_found_or_the_open_ones_are_named() -> None:
    assert asked_by(ASKED, "name").key == "name"
    with pytest.raises(InvalidInput, match="name, summary, folders, sign_in"):
        asked_by(ASKED, None)
    after = ASKED.after({"name", "summary", "sign_in"}, {})
    assert asked_by(after, None).key == "folders"
    with pytest.raises(Conflict, match="open is folders"):
        asked_by(after, "name")
    with pytest.raises(InvalidInput, match="open input: folders"):
        asked_by(after, "other")
    form = Pause("p", "?", {}, [])
    assert asked_by(form, None) == asked_by(form, "p")


@pytest.mark.parametrize(
    ("on_decline", "open_after"),
    [
        (OnDecline.WAIT, {"decline", "cancel", "consent"}),
        (OnDecline.FAIL, {"decline", "cancel", "consent"}),
        (OnDecline.CONTINUE, {"consent"}),
        (OnDecline.read("of a newer version"), {"decline", "cancel", "consent"}),
    ],
)
def test_which_actions_leave_an_input_open(on_decline: OnDecline, open_after: set[str]) -> None:
    pause = Pause("p", "?", {}, [], on_decline=on_decline)
    assert {action.value for action in AnswerAction if stays_open(pause, action)} == open_after


@pytest.mark.parametrize(
    ("key", "action", "result"),
    [
        ("name", AnswerAction.ACCEPT, '{"action":"accept","content":{"n":1}}'),
        ("name", AnswerAction.DECLINE, '{"action":"decline"}'),
        ("sign_in", AnswerAction.ACCEPT, '{"action":"accept"}'),
        ("summary", AnswerAction.ACCEPT, '{"n":1}'),
        ("folders", AnswerAction.CANCEL, '{"action":"cancel"}'),
    ],
)
def test_an_actor_gets_the_results_of_mcp(key: str, action: AnswerAction, result: str) -> None:
    assert result_of(asked_by(ASKED, key), action, '{"n":1}') == result


def test_the_action_of_one_form_is_told_only_if_its_pause_goes_on_after_a_decline() -> None:
    fields: list[dict[str, Any]] = [{"name": "ok"}]
    waits = Pause("p", "?", {}, fields)
    goes_on = Pause("p", "?", {}, fields, on_decline=OnDecline.CONTINUE)
    accept, decline = AnswerAction.ACCEPT, AnswerAction.DECLINE
    assert with_action(waits, accept, {"ok": 1}) == {"ok": 1}
    assert with_action(goes_on, accept, {"ok": 1}) == {"ok": 1, "answer_action": "accept"}
    assert with_action(goes_on, accept, 1) == {"ok": 1, "answer_action": "accept"}
    assert with_action(goes_on, decline, {"ok": 1}) == {"answer_action": "decline"}
    assert places_of(waits, accept) == fields
    assert places_of(goes_on, accept) == [*fields, {"name": "answer_action"}]
    assert places_of(goes_on, decline) == [{"name": "answer_action"}]
    several = Pause("p", "?", {}, [], on_decline=OnDecline.CONTINUE)
    assert with_action(several, accept, [1]) == [1]
    assert places_of(several, accept) == []


@pytest.mark.parametrize(
    "link",
    [
        "https://example.com",
        "https://example.com:8443/a?b=c#d",
        "http://localhost:1/",
        "http://127.8.0.1",
        "http://[::1]/a",
    ],
)
def test_a_link_is_https_or_on_this_machine(link: str) -> None:
    assert check_link(link) == link


@pytest.mark.parametrize(
    "link",
    [
        None,
        5,
        "",
        "/relative",
        "example.com",
        "//example.com",
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://example.com",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "https://:443/",
        "https://[::1",
        "https://example.com:99999/",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https:\\\\example.com",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://exämple.com/",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_any_other_link_is_refused(link: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        check_link(link)

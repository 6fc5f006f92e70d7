"""The inputs of a waiting task as requests to a client of each revision."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.answers import InputMethod
from asya_crds.envelope import Route
from asya_crds.status import TaskStatus
from asya_gateway.domain.pause import Input, Pause
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.forms import Asks, asks_of, elicitation_id
from asya_gateway.protocols.mcp.url_elicitation import UrlElicitationRequired, complete, is_at_url
from asya_gateway.protocols.mcp.versions import Revision
from tests.support.inputs import ALL_KINDS, CONSENT_AT, FOLDERS, NAME, SUMMARY
from tests.support.mcp import conforms
from tests.support.schemas import answer_schemas

EVERYTHING: dict[str, Any] = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"tools": {}, "context": {}},
    "roots": {},
}
PUBLIC = "https://asya.example.com"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORM: dict[str, Any] = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
NESTED: dict[str, Any] = {"type": "object", "properties": {"order": {"type": "object"}}, "required": ["order"]}
LINK = "https://forms.example.com/1"


def head(pause: Pause, status: TaskStatus = TaskStatus.PAUSED) -> TaskHead:
    return TaskHead("t 1", status, "flow", "", Route((), "a", ()), 1.0, 2, NOW, NOW, pause=pause)


def several(inputs: dict[str, dict[str, Any]], **more: Any) -> Pause:
    read = tuple(Input(key, InputMethod(each["method"]), each.get("params", {})) for key, each in inputs.items())
    return Pause("p", "Go on?", {}, [], inputs=read, **more)


def asks(
    pause: Pause,
    revision: Revision = Revision.JULY_2026,
    declared: dict[str, Any] = EVERYTHING,
    *,
    status: TaskStatus = TaskStatus.PAUSED,
    public_url: str = PUBLIC,
    surface: str = "mcp",
) -> Asks:
    """The requests, each held against its revision's schema."""
    found = asks_of(head(pause, status), surface, revision, ClientCapabilities(declared), public_url)
    for request in found.requests.values():
        check_request(request, revision)
    return found


_DEFINITIONS = {
    "elicitation/create": "ElicitRequest",
    "sampling/createMessage": "CreateMessageRequest",
    "roots/list": "ListRootsRequest",
}


def check_request(request: dict[str, Any], revision: Revision) -> None:
    whole = {"jsonrpc": "2.0", "id": 1, **request} if revision is Revision.NOVEMBER_2025 else request
    conforms(whole, _DEFINITIONS[request["method"]], str(revision))
    if revision is Revision.JULY_2026:
        conforms(request, "InputRequest", str(revision))


class TestForms:
    @pytest.mark.parametrize(
        ("revision", "mode"),
        [
            (Revision.JUNE_2025, {}),
            (Revision.NOVEMBER_2025, {"mode": "form"}),
            (Revision.JULY_2026, {"mode": "form"}),
        ],
    )
    def test_a_pause_without_inputs_is_one_form_under_its_id(self, revision: Revision, mode: dict[str, str]) -> None:
        params = {**mode, "message": "Go on?", "requestedSchema": FORM}
        found = asks(Pause("hop-3", "Go on?", FORM, []), revision, {"elicitation": {}})
        assert found == Asks({"hop-3": {"method": "elicitation/create", "params": params}}, None)

    def test_a_form_without_a_prompt_has_a_message_that_says_what_it_is(self) -> None:
        (request,) = asks(Pause("p", "", FORM, [])).requests.values()
        assert request["params"]["message"] == "The task waits for your answer"

    def test_inputs_pass_verbatim(self) -> None:
        found = asks(several({"name": NAME, "summary": SUMMARY, "folders": FOLDERS}))
        assert found == Asks({"name": NAME, "summary": SUMMARY, "folders": FOLDERS}, None)

    @pytest.mark.parametrize("revision", [Revision.MARCH_2025])
    def test_a_revision_without_elicitation_is_told_where_to_answer(self, revision: Revision) -> None:
        found = asks(Pause("p", "Go on?", FORM, []), revision)
        assert found.requests == {}
        assert found.note == (f'Go on? (answer with POST {PUBLIC}/tasks/t%201/resume and the body {{"answer": …}})')

    def test_what_no_form_can_carry_is_asked_at_the_pauses_url(self) -> None:
        pause = Pause("p", "Go on?", NESTED, [], url=LINK)
        assert asks(pause).requests["p"]["params"] == {"mode": "url", "message": "Go on?", "url": LINK}

    @pytest.mark.parametrize(
        ("declared", "revision", "public_url"),
        [
            ({"elicitation": {}}, Revision.JULY_2026, PUBLIC),  # forms only
            ({}, Revision.JULY_2026, PUBLIC),
            (EVERYTHING, Revision.JUNE_2025, PUBLIC),
            (EVERYTHING, Revision.JULY_2026, ""),
        ],
    )
    def test_where_no_url_can_be_offered_a_note_names_the_link(
        self, declared: dict[str, Any], revision: Revision, public_url: str
    ) -> None:
        found = asks(Pause("p", "Go on?", NESTED, [], url=LINK), revision, declared, public_url=public_url)
        assert found == Asks({}, f"Go on?: {LINK}")

    def test_the_note_names_the_key_of_one_of_several_inputs(self) -> None:
        deep = NAME | {"params": NAME["params"] | {"requestedSchema": NESTED}}
        found = asks(several({"folders": FOLDERS, "deep": deep}))
        assert list(found.requests) == ["folders"]
        assert found.note is not None
        assert found.note.endswith('/resume and the body {"key": "deep", "answer": …})')

    def test_only_what_the_client_has_declared_is_asked(self) -> None:
        """client/elicitation: "Servers MUST NOT send elicitation requests with modes that are not supported by the
        client"."""
        for declared, keys in (
            ({}, set()),
            ({"roots": {}}, {"folders"}),
            ({"sampling": {}}, {"summary"}),
            ({"elicitation": {}}, {"name"}),
            ({"elicitation": {"url": {}}}, {"sign_in"}),
            (EVERYTHING, set(ALL_KINDS)),
        ):
            found = asks(several(ALL_KINDS), declared=declared)
            assert set(found.requests) == keys
            assert (found.note is None) is (keys == set(ALL_KINDS))

    def test_answered_inputs_and_those_that_the_surface_has_set_aside_are_not_asked(self) -> None:
        pause = several({"name": NAME, "folders": FOLDERS, "summary": SUMMARY})
        after = pause.after({"folders"}, {"name": ["mcp"]})
        assert list(asks(after).requests) == ["summary"]
        assert "name" in (asks(after).note or "")
        assert list(asks(after, surface="a2a").requests) == ["name", "summary"]
        form = Pause("p", "Go on?", FORM, []).after((), {"p": ["mcp"]})
        assert asks(form).requests == {}
        assert "resume" in (asks(form).note or "")

    def test_a_task_that_does_not_wait_asks_nothing(self) -> None:
        assert asks(Pause("p", "Go on?", FORM, []), status=TaskStatus.RUNNING) == Asks({}, None)


class TestUrls:
    def test_an_authorization_is_asked_at_its_url_only(self) -> None:
        """client/elicitation, "Security Considerations": "Servers MUST NOT use form mode elicitation to request
        sensitive information"."""
        pause = Pause("p", "Sign in", FORM, [], url=LINK)
        authorizing = TaskStatus.AUTH_REQUIRED
        (request,) = asks(pause, status=authorizing).requests.values()
        assert request["params"] == {"mode": "url", "message": "Sign in", "url": LINK}
        assert asks(pause, declared={"elicitation": {}}, status=authorizing) == Asks({}, f"Sign in: {LINK}")

    def test_of_a_form_and_a_url_the_form_is_shown(self) -> None:
        (request,) = asks(Pause("p", "Go on?", FORM, [], url=LINK)).requests.values()
        assert request["params"]["mode"] == "form"

    def test_only_2025_11_25_names_its_elicitations(self) -> None:
        pause = Pause("p", "Go on?", NESTED, [], url=LINK)
        (request,) = asks(pause, Revision.NOVEMBER_2025).requests.values()
        assert request["params"]["elicitationId"] == elicitation_id("t 1", "p")
        own = several({"sign_in": CONSENT_AT})
        assert asks(own, Revision.NOVEMBER_2025).requests["sign_in"]["params"]["elicitationId"] == "e"
        assert "elicitationId" not in asks(own).requests["sign_in"]["params"]

    def test_its_end_and_its_error_are_those_of_2025_11_25(self) -> None:
        requests = asks(several(ALL_KINDS), Revision.NOVEMBER_2025).requests
        assert [key for key, request in requests.items() if is_at_url(request)] == ["sign_in"]
        error = UrlElicitationRequired(list(requests.values()))
        whole = {"jsonrpc": "2.0", "id": 1, "error": {"code": error.code, "message": error.message, "data": error.data}}
        conforms(whole, "URLElicitationRequiredError", "2025-11-25")
        assert error.data is not None
        assert [each["url"] for each in error.data["elicitations"]] == [CONSENT_AT["params"]["url"]]
        said = complete({"elicitationId": "e"})
        conforms(jsontext.loads(said), "ElicitationCompleteNotification", "2025-11-25")


@given(
    schema=answer_schemas(),
    declared=st.sampled_from([{}, {"elicitation": {}}, EVERYTHING]),
    revision=st.sampled_from(list(Revision)),
    url=st.sampled_from([None, LINK]),
    status=st.sampled_from([TaskStatus.PAUSED, TaskStatus.AUTH_REQUIRED]),
)
def test_every_open_question_is_asked_or_noted(
    schema: dict[str, Any], declared: dict[str, Any], revision: Revision, url: str | None, status: TaskStatus
) -> None:
    found = asks(Pause("p", "Go on?", schema, [], url=url), revision, declared, status=status)
    assert (found.note is None) == bool(found.requests)
    if not declared or revision < Revision.JUNE_2025:
        assert not found.requests

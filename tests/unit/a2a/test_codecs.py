"""The codecs of the dialects: pure functions both ways, without loss."""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import asya_gateway.protocols.http.errors  # noqa: F401 # its errors belong to the tree
from asya_gateway.domain.errors import GatewayError
from asya_gateway.protocols.a2a.dialects import v0_1, v0_3, v1_0
from asya_gateway.protocols.a2a.dialects.known import V0_1, V0_3, V0_3_PROTO, V1_0, Dialect
from asya_gateway.protocols.a2a.errors import KIND_OF, A2aError
from asya_gateway.protocols.a2a.model import (
    Artifact,
    ArtifactUpdate,
    Message,
    Part,
    PartKind,
    Role,
    State,
    Status,
    StatusUpdate,
    TaskView,
    Verbatim,
)
from asya_gateway.protocols.a2a.writing import json_text
from tests.support.a2a import conforms

AT = datetime(2026, 7, 28, 1, 2, 3, 456789, tzinfo=UTC)
NAMES = st.text(max_size=8)
IDS = NAMES.filter(str.isprintable)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
METADATA = st.dictionaries(NAMES, VALUES, max_size=2)
FILES = st.sampled_from(["https://files.example/a", "https://files.example/b?c=d"])
PARTS = st.one_of(
    st.builds(Part, st.just(PartKind.TEXT), NAMES, metadata=METADATA),
    st.builds(Part, st.just(PartKind.DATA), VALUES, metadata=METADATA),
    st.builds(Part, st.just(PartKind.RAW), st.just("aGk="), st.just("image/png"), NAMES, METADATA),
    st.builds(Part, st.just(PartKind.URL), FILES, st.just(""), NAMES, METADATA),
)
MESSAGES = st.builds(
    Message,
    message_id=IDS.filter(bool),
    role=st.just(Role.USER),
    parts=st.lists(PARTS, min_size=1, max_size=3).map(tuple),
    context_id=IDS,
    task_id=IDS,
    metadata=METADATA,
    extensions=st.lists(NAMES, max_size=2).map(tuple),
    reference_task_ids=st.lists(IDS, max_size=2).map(tuple),
)


def view(*parts: Part, state: State = State.COMPLETED) -> TaskView:
    said = Message("m", Role.USER, (Part(PartKind.TEXT, "hi"),), "c", "t")
    return TaskView("t", "c", Status(state, AT), (Artifact("result", parts, name="n"),), (said,), {"k": 1})


@settings(max_examples=60, deadline=None)
@given(MESSAGES)
def test_a_message_of_1_0_is_read_as_it_was_written(message: Message) -> None:
    assert v1_0.read_message(json.loads(json_text(v1_0.message(message))), "message") == message


@settings(max_examples=60, deadline=None)
@given(MESSAGES)
def test_a_message_of_0_3_is_read_as_it_was_written(message: Message) -> None:
    # Metadata that marks wrapped data would be read as the mark.
    assert v0_3.read_message(json.loads(json_text(v0_3.message(message))), "message") == message


def test_snake_case_numbers_and_null_are_read_as_protojson_is() -> None:
    said = {"message_id": "m", "role": 1, "parts": [{"data": None}], "context_id": None, "reference_task_ids": ["a"]}
    message = v1_0.read_message(said, "message")
    assert (message.message_id, message.role, message.context_id) == ("m", Role.USER, "")
    assert (message.parts[0].kind, message.parts[0].value) == (PartKind.DATA, None)
    assert message.reference_task_ids == ("a",)


@pytest.mark.parametrize("text", ["aGk", "aGk=", "-_-_"])
def test_base64_of_both_alphabets_is_read_with_and_without_padding(text: str) -> None:
    assert v1_0.checked_base64(text, "raw").replace("=", "") == text.translate(str.maketrans("-_", "+/")).replace(
        "=", ""
    )


def test_integers_stay_exact_and_json_that_is_there_is_inserted_unchanged() -> None:
    document = v1_0.task(view(Part(PartKind.DATA, Verbatim('{"a":1.0,"b":9007199254740993}')), Part(PartKind.DATA, 42)))
    text = json_text(document)
    assert '{"a":1.0,"b":9007199254740993}' in text
    assert '"data":42' in text


def test_many_texts_are_inserted_each_in_its_place_also_beside_what_utf_8_cannot_carry() -> None:
    texts = [f'{{"n":{number}}}' for number in range(1_000)]
    document = {"a": [Verbatim(text) for text in texts], "said": "\ud800"}
    assert json_text(document) == f'{{"a":[{",".join(texts)}],"said":"\\ud800"}}'
    assert json_text({"a": Verbatim("1"), "said": "\u00e9"}) == '{"a":1,"said":"\u00e9"}'
    assert json_text([Verbatim('"x"')]) == '["x"]'


@pytest.mark.parametrize("dialect", [V1_0, V0_3, V0_3_PROTO, V0_1], ids=lambda dialect: dialect.key)
def test_messages_and_parts_that_are_written_already_stand_as_they_would_be_written(dialect: Dialect) -> None:
    parts = (Part(PartKind.TEXT, "x"), Part(PartKind.DATA, [1]), Part(PartKind.RAW, "aGk=", "image/png"))
    said = Message("m", Role.USER, parts, "c", "t", {"a": 1})
    plain = Artifact("result", parts)
    already = replace(plain, parts=(), written=tuple(Verbatim(json_text(dialect.part(each))) for each in parts))
    history: list[Message | Verbatim] = [said, Verbatim(json_text(dialect.message(said)))]
    tasks = [
        json_text(dialect.task(replace(view(), history=(message,), artifacts=(made,))))
        for message, made in zip(history, (plain, already), strict=True)
    ]
    assert tasks[0] == tasks[1]
    events = [json_text(dialect.event(ArtifactUpdate("t", "c", made))) for made in (plain, already)]
    assert events[0] == events[1]


@pytest.mark.parametrize("state", State)
def test_a_task_and_its_events_have_the_form_of_each_dialect(state: State) -> None:
    task = view(
        Part(PartKind.TEXT, "x"),
        Part(PartKind.RAW, "aGk=", "image/png", "a.png"),
        Part(PartKind.DATA, [1]),
        state=state,
    )
    conforms(v1_0.task(task), "Task")
    conforms(v0_3.task(task), "Task", "0.3")
    changed = StatusUpdate("t", "c", Status(state, AT), ends_stream=state.terminal)
    made = ArtifactUpdate("t", "c", Artifact("result", (Part(PartKind.TEXT, "x"),)), append=True)
    for event, name in ((changed, "TaskStatusUpdateEvent"), (made, "TaskArtifactUpdateEvent")):
        conforms(v1_0.event(event), "StreamResponse")
        conforms(v0_3.event(event), name, "0.3")
    oldest: Any = v0_1.event(changed)
    assert oldest["final"] is state.terminal
    assert oldest["status"]["state"] in {"submitted", "working", "input-required", "completed", "canceled", "failed"}


def test_times_are_utc_with_milliseconds() -> None:
    """5.6.1: 'YYYY-MM-DDTHH:mm:ss.sssZ'."""
    assert v1_0.timestamp(AT) == "2026-07-28T01:02:03.456Z"


def _tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _tree(child))]


def test_every_domain_error_has_a_row() -> None:
    known = {kind for kind in _tree(GatewayError) if kind.__module__.startswith("asya_gateway")} - {GatewayError}
    assert known - set(KIND_OF) == set()


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_anything_else_is_refused_as_an_error_of_the_protocol(value: Any) -> None:
    for read in (v1_0.read_message, v0_3.read_message, v1_0.read_part, v0_3.read_part):
        with contextlib.suppress(A2aError):
            read(value, "message")

"""The codec of 0.3 beside the conversions of the SDK: what ours says in 0.3 is what the SDK makes of what ours says in
1.0, and the other way round.

Known differences: protobuf has floats only, so the SDK rounds large integers and ours does not; and its `final` is
false at a question, after which its server closes the stream all the same.
"""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from asya_gateway.protocols.a2a.dialects import v0_3, v1_0
from asya_gateway.protocols.a2a.model import Artifact, ArtifactUpdate, Event, Message, Part, PartKind, Role
from tests.conformance import tools
from tests.conformance.tools import run
from tests.support.a2a_logs import LOGS, events_of, view_of, wire

PROGRAM = Path(__file__).parent / "python" / "a2a_1_conversions.py"
VALUES = [None, True, 0, 42, 1.5, 2**60 + 1, "", "text", [], [1, [2]], {}, {"value": 1}, {"a": {"b": [None]}}]
METADATA: list[dict[str, Any]] = [{}, {"k": 1}, {"urn:x": {"deep": [1, "a"]}}]
PARTS = [
    *(Part(PartKind.TEXT, "a text", metadata=metadata) for metadata in METADATA),
    *(Part(PartKind.DATA, value, metadata=metadata) for value, metadata in product(VALUES, METADATA)),
    *(
        Part(kind, value, media_type, filename, metadata)
        for (kind, value), media_type, filename, metadata in product(
            [(PartKind.RAW, "aGk="), (PartKind.URL, "https://files.example/a?b=c")],
            ["", "image/png"],
            ["", "a.png"],
            METADATA,
        )
    ),
]
TEXT = Part(PartKind.TEXT, "x")
MESSAGES = [
    *(Message("m", role, (part,), "c", "t") for role, part in product(Role, PARTS)),
    Message("m", Role.USER, (TEXT, TEXT)),
    Message("m", Role.USER, (TEXT,), context_id="c", metadata={"k": [1]}, extensions=("urn:a", "urn:b")),
    Message("m", Role.AGENT, (TEXT,), task_id="t", reference_task_ids=("one", "two")),
]
CHUNKS = [
    ArtifactUpdate("t", "c", Artifact("result", (part,), "n", "d", {"k": 1}, ("urn:a",)), append, last)
    for part, append, last in product(PARTS[:8], [True, False], [True, False])
]
KINDS = {"task": "task", "message": "message", "statusUpdate": "status", "artifactUpdate": "artifact"}


def items() -> Iterator[tuple[str, Event]]:
    """Everything that has a form in both dialects, with a name for failures."""
    for name, log in LOGS.items():
        yield f"{name} task", view_of(log, oldest=False)
        for id, event in events_of(log, oldest=False):
            yield f"{name} {id}", event
    others: list[Event] = [*MESSAGES, *CHUNKS]
    for number, item in enumerate(others):
        yield f"{type(item).__name__} {number}", item


def rounded(value: Any) -> Any:
    """As protobuf has it: numbers are floats, and what says nothing is absent."""
    match value:
        case bool():
            return value
        case int() | float():
            return float(value)
        case dict():
            return {key: rounded(item) for key, item in value.items()}
        case list():
            return [rounded(item) for item in value]
        case _:
            return value


def without_flags(value: Any) -> Any:
    """An event without flags that are false, which protobuf leaves out."""
    event = {key: item for key, item in value.items() if not (key in ("append", "lastChunk") and item is False)}
    return rounded(event)


@pytest.fixture(scope="module")
def named() -> dict[str, Event]:
    return dict(items())


async def converted(folder: Path, **given: list[tuple[str, Any]]) -> Any:
    path = folder / "given.json"
    path.write_text(json.dumps({"down": [], "up": [], **given}))
    return (await run(tools.a2a(1), str(PROGRAM), str(path))).answer


async def test_what_is_said_in_0_3_is_what_the_sdk_makes_of_1_0(named: dict[str, Event], tmp_path: Path) -> None:
    newest = [next(iter(wire(v1_0.event(item)).items())) for item in named.values()]
    found = await converted(tmp_path, down=[(KINDS[kind], value) for kind, value in newest])
    for (name, item), theirs in zip(named.items(), found["down"], strict=True):
        ours = wire(v0_3.event(item))
        if ours["kind"] == "status-update" and ours["status"]["state"] == "input-required":
            assert (ours.pop("final"), theirs.pop("final")) == (True, False), name
        assert without_flags(ours) == without_flags(theirs), name


async def test_what_is_said_in_1_0_is_what_the_sdk_makes_of_0_3(named: dict[str, Event], tmp_path: Path) -> None:
    newest = [next(iter(wire(v1_0.event(item)).items())) for item in named.values()]
    older = [wire(v0_3.event(item)) for item in named.values()]
    given = [(KINDS[kind], value) for (kind, _), value in zip(newest, older, strict=True)]
    found = await converted(tmp_path, up=given)
    for name, (_, ours), theirs in zip(named, newest, found["up"], strict=True):
        assert without_flags(ours) == without_flags(theirs), name


async def test_a_message_of_the_sdk_is_read_alike_in_both_dialects(tmp_path: Path) -> None:
    said = [message for message in MESSAGES if message.role is Role.USER]
    sends = [
        {"message": wire(v1_0.message(message)), "metadata": {"skill": "echo"}, "configuration": configuration}
        for message, configuration in product(
            said,
            [
                {},
                {"returnImmediately": True, "historyLength": 3, "acceptedOutputModes": ["text/plain"]},
            ],
        )
    ]
    found = await converted(tmp_path, down=[("send", send) for send in sends])
    for send, theirs in zip(sends, found["down"], strict=True):
        newest, older = v1_0.read_send(send), v0_3.read_send(theirs)
        assert rounded(wire(v1_0.message(newest.message))) == rounded(wire(v1_0.message(older.message)))
        assert (newest.wait, newest.history_length) == (older.wait, older.history_length)
        assert (newest.accepted_output_modes, newest.metadata) == (older.accepted_output_modes, older.metadata)


async def test_integers_that_the_sdk_rounds_are_exact_here(tmp_path: Path) -> None:
    said = Message("m", Role.AGENT, (Part(PartKind.DATA, {"n": 42, "large": 2**60 + 1}),))
    [theirs] = (await converted(tmp_path, down=[("message", wire(v1_0.message(said)))]))["down"]
    ours = wire(v0_3.message(said))
    assert json.dumps(ours["parts"][0]["data"]) == '{"n": 42, "large": 1152921504606846977}'
    # Its order is the one of a hash.
    assert json.dumps(theirs["parts"][0]["data"], sort_keys=True) == '{"large": 1.152921504606847e+18, "n": 42.0}'

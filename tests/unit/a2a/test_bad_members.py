"""What each dialect's decoder refuses, with the member that it names."""

import copy
from typing import Any

import pytest

from asya_gateway.protocols.a2a.dialects.known import V0_1, V0_3, V1_0, Dialect
from asya_gateway.protocols.a2a.errors import INVALID_PARAMS, InvalidParams
from asya_gateway.protocols.a2a.reading import LONGEST_ID, MOST_ITEMS

MISSING: Any = object()
LONG = "x" * (LONGEST_ID + 1)
VALID: dict[str, dict[str, Any]] = {
    "1.0": {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]}, "configuration": {}},
    "0.3": {
        "message": {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]},
        "configuration": {},
    },
    "0.1": {"id": "t", "message": {"role": "user", "parts": [{"type": "text", "text": "hi"}]}},
}
DIALECTS: list[Dialect] = [V1_0, V0_3, V0_1]
Row = tuple[str, Any]
"""The path of a member and its value; the error names the path, or what stands after an arrow."""

IN_EVERY: list[Row] = [
    ("message", MISSING),
    ("message", None),
    ("message", "hi"),
    ("message", []),
    ("message.role", MISSING),
    ("message.role", 7),
    ("message.role", True),
    ("message.role", ["user"]),
    ("message.role", {"user": 1}),
    ("message.role", "boss"),
    ("message.parts", MISSING),
    ("message.parts", None),
    ("message.parts", []),
    ("message.parts", {}),
    ("message.parts", "hi"),
    ("message.parts", [{}] * (MOST_ITEMS + 1)),
    ("message.parts.0 > message.parts[0]", "hi"),
    ("message.parts.0 > message.parts[0]", None),
    ("message.parts.0.text > message.parts[0].text", 7),
    ("message.parts.0.metadata > message.parts[0].metadata", "m"),
    ("message.metadata", []),
    ("message.metadata", "m"),
    ("metadata", [1]),
]
OF_MESSAGES: list[Row] = [
    ("message.messageId", MISSING),
    ("message.messageId", ""),
    ("message.messageId", 7),
    ("message.messageId", LONG),
    ("message.contextId", 7),
    ("message.contextId", LONG),
    ("message.taskId", ["t"]),
    ("message.taskId", LONG),
    ("message.extensions", "urn:x"),
    ("message.extensions.0 > message.extensions[0]", 7),
    ("message.referenceTaskIds", "t"),
    ("message.referenceTaskIds.0 > message.referenceTaskIds[0]", None),
    ("configuration", []),
    ("configuration.historyLength", -1),
    ("configuration.historyLength", 1.5),
    ("configuration.historyLength", True),
    ("configuration.historyLength", 2**31),
    ("configuration.acceptedOutputModes", "text/plain"),
    ("configuration.acceptedOutputModes.0 > configuration.acceptedOutputModes[0]", {}),
]
"""Members that messages have since 0.3."""
ROWS: dict[str, list[Row]] = {
    "1.0": [
        *IN_EVERY,
        *OF_MESSAGES,
        ("message.role", "user"),
        ("message.role", "ROLE_AGENT"),
        ("message.role", "ROLE_UNSPECIFIED"),
        ("message.role", 0),
        ("message.role", 1.0),
        ("message.parts.0 > message.parts[0]", {}),
        ("message.parts.0 > message.parts[0]", {"text": "x", "data": None}),
        ("message.parts.0 > message.parts[0]", {"raw": "aGk=", "url": "https://files.example"}),
        ("message.parts.0 > message.parts[0]", {"kind": "text"}),
        ("message.parts.0 > message.parts[0].raw", {"raw": "%%"}),
        ("message.parts.0 > message.parts[0].raw", {"raw": "a"}),
        ("message.parts.0 > message.parts[0].raw", {"raw": 7}),
        ("message.parts.0 > message.parts[0].url", {"url": {}}),
        ("message.parts.0 > message.parts[0].mediaType", {"text": "x", "mediaType": 7}),
        ("message.parts.0 > message.parts[0].mediaType", {"text": "x", "mediaType": "t" * 257}),
        ("message.parts.0 > message.parts[0].filename", {"text": "x", "filename": []}),
        ("message.parts.0 > message.parts[0].filename", {"text": "x", "filename": "f" * 1025}),
        ("configuration.returnImmediately", "yes"),
        ("configuration.returnImmediately", 1),
        ("tenant", 7),
        ("tenant", LONG),
    ],
    "0.3": [
        *IN_EVERY,
        *OF_MESSAGES,
        ("message.kind", "task"),
        ("message.kind", 7),
        ("message.role", "agent"),
        ("message.role", "ROLE_USER"),
        ("message.parts.0 > message.parts[0].kind", {"text": "x"}),
        ("message.parts.0 > message.parts[0].kind", {"kind": "picture"}),
        ("message.parts.0 > message.parts[0].kind", {"kind": ["text"], "text": "x"}),
        ("message.parts.0 > message.parts[0].text", {"kind": "text"}),
        ("message.parts.0 > message.parts[0].file", {"kind": "file"}),
        ("message.parts.0 > message.parts[0].file", {"kind": "file", "file": {}}),
        ("message.parts.0 > message.parts[0].file", {"kind": "file", "file": {"bytes": "aGk=", "uri": "https://a"}}),
        ("message.parts.0 > message.parts[0].file.bytes", {"kind": "file", "file": {"bytes": "%%"}}),
        ("message.parts.0 > message.parts[0].file.mimeType", {"kind": "file", "file": {"uri": "u", "mimeType": 7}}),
        ("message.parts.0 > message.parts[0].data", {"kind": "data"}),
        ("message.parts.0 > message.parts[0].data", {"kind": "data", "data": [1]}),
        ("configuration.blocking", "no"),
    ],
    "0.1": [
        *IN_EVERY,
        ("id", MISSING),
        ("id", ""),
        ("id", 7),
        ("id", LONG),
        ("sessionId", 7),
        ("sessionId", LONG),
        ("historyLength", -1),
        ("historyLength", "all"),
        ("acceptedOutputModes", {}),
        ("message.role", "agent"),
        ("message.parts.0 > message.parts[0].type", {"text": "x"}),
        ("message.parts.0 > message.parts[0].type", {"type": "picture"}),
        ("message.parts.0 > message.parts[0].text", {"type": "text"}),
        ("message.parts.0 > message.parts[0].file", {"type": "file", "file": {"bytes": None, "uri": None}}),
        ("message.parts.0 > message.parts[0].data", {"type": "data", "data": "x"}),
    ],
}
CASES = [(dialect, path, value) for dialect in DIALECTS for path, value in ROWS[dialect.name]]


def shown(value: Any) -> str:
    return "missing" if value is MISSING else repr(value)[:24]


def with_member(params: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy in which the member at a path has this value; an array that is not there is made."""
    changed = copy.deepcopy(params)
    *parents, last = path.split(".")
    place: Any = changed
    for index, name in enumerate(parents):
        if isinstance(place, list):
            place = place[int(name)]
            continue
        following = (*parents, last)[index + 1]
        place = place.setdefault(name, [None] if following.isdigit() else {})
    if value is MISSING:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return changed


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_valid_message_is_read(dialect: Dialect) -> None:
    assert dialect.read_send(VALID[dialect.name]).message.parts[0].value == "hi"


@pytest.mark.parametrize(
    ("dialect", "path", "value"), CASES, ids=[f"{d.name}-{path}-{shown(value)}" for d, path, value in CASES]
)
def test_a_member_that_is_not_what_it_must_be_is_named(dialect: Dialect, path: str, value: Any) -> None:
    """3.3.2: 'Servers SHOULD specify which parameter(s) failed validation and why'."""
    place, _, named = path.partition(" > ")
    with pytest.raises(InvalidParams) as refused:
        dialect.read_send(with_member(VALID[dialect.name], place, value))
    [(field, expected)] = refused.value.fields
    assert (field, refused.value.kind) == (named or place, INVALID_PARAMS)
    assert expected.startswith("expected ")


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", MISSING),
        ("id", None),
        ("id", ""),
        ("id", 7),
        ("id", LONG),
        ("historyLength", -1),
        ("historyLength", "1x"),
    ],
    ids=["none", "null", "empty", "number", "long", "negative", "text"],
)
def test_a_request_about_a_task_names_what_is_wrong(dialect: Dialect, member: str, value: Any) -> None:
    with pytest.raises(InvalidParams) as refused:
        dialect.read_named(with_member({"id": "t"}, member, value))
    assert refused.value.fields[0][0] == member

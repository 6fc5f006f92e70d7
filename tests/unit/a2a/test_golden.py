"""One log, rendered in every dialect, as it is stored in golden/ (WRITE_GOLDEN=1 writes the files anew)."""

import json
import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.a2a import errors
from asya_gateway.protocols.a2a.dialects.known import BY_NAME
from asya_gateway.protocols.a2a.envelopes import error_text
from asya_gateway.protocols.a2a.errors import KIND_OF, A2aError, ErrorKind, InvalidParams
from tests.support.a2a import conforms
from tests.support.a2a_logs import LOGS, in_dialect

GOLDEN = Path(__file__).parent / "golden"
KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, ErrorKind)}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_rendered_in_every_dialect(name: str) -> None:
    """3.6.2: 'Agents MUST process requests using the semantics of the requested A2A-Version'. The files say what that
    is; every object of theirs is valid against the schema of its dialect."""
    found = {version: in_dialect(LOGS[name], dialect) for version, dialect in BY_NAME.items()}
    for version, seen in found.items():
        conforms(seen["task"], "Task", version)
        for event in seen["events"]:
            conforms(event["data"], _event_of(version, event["data"]), version)
    # As text, since 42 and 42.0 are equal in Python.
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    path = GOLDEN / f"{name}.json"
    if "WRITE_GOLDEN" in os.environ:
        path.write_text(text)
    assert path.read_text() == text


def test_every_golden_file_belongs_to_a_log() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(LOGS)


@pytest.mark.parametrize("version", BY_NAME)
def test_integers_are_exact_in_every_dialect(version: str) -> None:
    text = jsontext.dumps(in_dialect(LOGS["chunks"], BY_NAME[version]))
    assert text.count('"n":42,"large":1152921504606846977,"exact":1.0') == 2  # in the task, and in its last chunk
    assert text.count("1152921504606846977") == 3
    assert "9007199254740993" in jsontext.dumps(in_dialect(LOGS["parts"], BY_NAME[version]))


@pytest.mark.parametrize("name", LOGS)
def test_no_member_of_an_answer_has_an_underscore(name: str) -> None:
    """5.5: all serializations 'MUST use camelCase naming for field names'."""
    assert [key for key in _members(in_dialect(LOGS[name], BY_NAME["1.0"])) if "_" in key] == []


def _event_of(version: str, event: dict[str, Any]) -> str:
    """The definition of a stream's event in its dialect's schema."""
    if version == "1.0":
        return "StreamResponse"
    kind = event.get("kind") or ("status-update" if "status" in event else "artifact-update")
    names = {"task": "Task", "status-update": "TaskStatusUpdateEvent", "artifact-update": "TaskArtifactUpdateEvent"}
    return names[kind]


def _members(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for key, item in value.items():
                yield key
                yield from _members(item)
        case list():
            for item in value:
                yield from _members(item)
        case _:
            pass


@pytest.mark.parametrize("version", ["0.3", "0.1"])
@pytest.mark.parametrize("name", ["question", "chunks", "failed", "sign_in"])
def test_the_last_event_of_a_stream_alone_is_final(name: str, version: str) -> None:
    finals = [event["data"].get("final") for event in in_dialect(LOGS[name], BY_NAME[version])["events"]]
    said = [each for each in finals if each is not None]
    # A stream that a message began ends at the question, and what follows is the next one's.
    assert said[-1] is True
    assert sum(said) == (2 if name == "question" else 1)


@pytest.mark.parametrize("name", KINDS)
def test_every_detail_of_an_error_of_1_0_has_a_type(name: str) -> None:
    """9.5: 'Each object in the data array MUST include a @type key that identifies the object's type'."""
    kind = KINDS[name]
    error = A2aError(kind, "no", details={"taskId": "t"}, fields=[("message.parts", "expected a part")])
    answer = jsontext.loads(error_text(1, error, newest=True))["error"]
    assert set(answer) == {"code", "message", "data"}
    assert all(detail["@type"].startswith("type.googleapis.com/google.rpc.") for detail in answer["data"])
    [info] = [detail for detail in answer["data"] if "reason" in detail]
    assert (info["reason"], info["domain"]) == (kind.reason, "a2a-protocol.org")
    older = jsontext.loads(error_text(1, error, newest=False))["error"]
    assert not isinstance(older.get("data"), list)
    assert -32007 <= older["code"] <= -32001 or older["code"] in (-32700, -32600, -32601, -32602, -32603)


TABLE = [
    ("TASK_NOT_FOUND", -32001, 404, "NOT_FOUND"),
    ("TASK_NOT_CANCELABLE", -32002, 400, "FAILED_PRECONDITION"),
    ("PUSH_NOTIFICATION_NOT_SUPPORTED", -32003, 400, "FAILED_PRECONDITION"),
    ("UNSUPPORTED_OPERATION", -32004, 400, "FAILED_PRECONDITION"),
    ("CONTENT_TYPE_NOT_SUPPORTED", -32005, 400, "INVALID_ARGUMENT"),
    ("EXTENDED_AGENT_CARD_NOT_CONFIGURED", -32007, 400, "FAILED_PRECONDITION"),
    ("EXTENSION_SUPPORT_REQUIRED", -32008, 400, "FAILED_PRECONDITION"),
    ("VERSION_NOT_SUPPORTED", -32009, 400, "FAILED_PRECONDITION"),
]
"""Section 5.4 of 1.0.1, but for InvalidAgentResponseError, which the gateway has no use for."""


@pytest.mark.parametrize(("reason", "code", "status", "grpc"), TABLE, ids=[row[0] for row in TABLE])
def test_an_error_has_the_code_and_status_of_the_table(reason: str, code: int, status: int, grpc: str) -> None:
    [kind] = [kind for kind in KINDS.values() if kind.reason == reason]
    assert (kind.code, kind.status, kind.grpc) == (code, HTTPStatus(status), grpc)


def test_no_error_of_the_domain_has_a_code_of_its_own() -> None:
    standard = {-32700, -32600, -32601, -32602, -32603}
    assert {kind.code for kind in KIND_OF.values()} <= standard | {code for _, code, _, _ in TABLE}


def test_an_invalid_member_is_a_violation_of_a_bad_request() -> None:
    answer = jsontext.loads(error_text("a", InvalidParams("message.parts", "expected a part"), newest=True))
    [detail] = answer["error"]["data"]
    assert detail["fieldViolations"] == [{"field": "message.parts", "description": "expected a part"}]

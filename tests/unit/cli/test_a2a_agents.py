"""`asya a2a`: which interface of a card is used, and A2A 0.3 for a client that thinks in 1.0."""

import json
from typing import Any

import pytest

from asya_cli.a2a.cards import Interface, card_urls, interfaces_to_try
from asya_cli.a2a.older import newer_event, newer_task, older_params
from asya_cli.a2a.showing import Shown, print_tasks
from asya_cli.a2a.talking import state_of
from asya_cli.errors import CliError, ExitCode

NEW = {"url": "https://a.example/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "t"}
REST = {"url": "https://a.example/rest", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}
OLD = {"url": "https://a.example/old", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"}
GRPC = {"url": "https://a.example", "protocolBinding": "GRPC", "protocolVersion": "1.0"}


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"supportedInterfaces": [GRPC, OLD, REST, NEW]}, ["JSONRPC 1.0", "HTTP+JSON 1.0", "JSONRPC 0.3"]),
        ({"url": "https://a.example", "protocolVersion": "0.3.0"}, ["JSONRPC 0.3.0"]),
        (
            {
                "url": "https://a.example/rest",
                "preferredTransport": "HTTP+JSON",
                "additionalInterfaces": [{"url": "https://a.example/rpc", "transport": "JSONRPC"}, 7],
            },
            ["JSONRPC 0.3"],
        ),
    ],
    ids=["1.0", "0.3", "additional"],
)
def test_the_newest_interface_that_is_spoken_comes_first(card: dict[str, Any], expected: list[str]) -> None:
    assert [f"{each.binding} {each.version}" for each in interfaces_to_try(card)] == expected


@pytest.mark.parametrize(
    "card", [{}, {"supportedInterfaces": [GRPC, {}, 1]}, {"url": "file:///etc/passwd"}, {"supportedInterfaces": "x"}]
)
def test_a_card_without_an_interface_that_is_spoken_is_told(card: dict[str, Any]) -> None:
    with pytest.raises(CliError, match="its card lists"):
        interfaces_to_try(card)


def test_a_card_is_looked_for_below_the_url_then_at_its_host() -> None:
    assert card_urls("https://a.example/x") == [
        "https://a.example/x/.well-known/agent-card.json",
        "https://a.example/x/.well-known/agent.json",
        "https://a.example/.well-known/agent-card.json",
        "https://a.example/.well-known/agent.json",
    ]
    assert card_urls("https://a.example/my-card.json") == ["https://a.example/my-card.json"]
    assert len(card_urls("https://a.example/")) == 2


def test_a_message_is_written_as_0_3_has_it() -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}, {"data": {"n": 2**60}}, {"data": 7}]}
    params = {"message": message, "configuration": {"returnImmediately": True}, "metadata": {"skill": "s"}}
    assert older_params(params) == {
        "message": {
            "kind": "message",
            "messageId": "m",
            "role": "user",
            "parts": [
                {"kind": "text", "text": "hi"},
                {"kind": "data", "data": {"n": 2**60}},
                {"kind": "data", "data": {"value": 7}, "metadata": {"data_part_compat": True}},
            ],
        },
        "configuration": {"blocking": False},
        "metadata": {"skill": "s"},
    }
    assert older_params({"id": "t"}) == {"id": "t"}
    listing = {"status": "TASK_STATE_INPUT_REQUIRED", "pageSize": 20}
    assert older_params(listing) == {"status": "input-required", "pageSize": 20}


def test_what_0_3_answers_is_read_as_1_0() -> None:
    said = {
        "kind": "message",
        "messageId": "m",
        "role": "agent",
        "parts": [
            {"kind": "text", "text": "a"},
            {"kind": "file", "file": {"bytes": "aGk=", "name": "a.txt", "mimeType": "text/plain"}},
            {"kind": "file", "file": {"uri": "https://f.example"}},
            {"kind": "data", "data": {"value": [1]}, "metadata": {"data_part_compat": True}},
        ],
    }
    newer = {
        "messageId": "m",
        "role": "ROLE_AGENT",
        "parts": [
            {"text": "a"},
            {"raw": "aGk=", "filename": "a.txt", "mediaType": "text/plain"},
            {"url": "https://f.example"},
            {"data": [1]},
        ],
    }
    assert newer_event(said) == {"message": newer}
    task = {"kind": "task", "id": "t", "status": {"state": "input-required", "message": said}, "history": [said]}
    status = {"state": "TASK_STATE_INPUT_REQUIRED", "message": newer}
    assert newer_task(task) == {"id": "t", "status": status, "history": [newer]}
    update = {"kind": "status-update", "taskId": "t", "final": True, "status": {"state": "completed"}}
    assert newer_event(update) == {"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_COMPLETED"}}}


@pytest.mark.parametrize("word", ["input-required", "INPUT_REQUIRED", "input required", "TASK_STATE_INPUT_REQUIRED"])
def test_a_state_is_named_as_people_or_either_version_name_it(word: str) -> None:
    assert state_of(word) == "TASK_STATE_INPUT_REQUIRED"


@pytest.mark.parametrize("page", [{}, {"tasks": 7}, {"tasks": [{}]}, {"tasks": [{"id": "t", "status": None}]}], ids=str)
def test_a_list_that_is_not_a2a_is_told_in_one_line(page: dict[str, Any]) -> None:
    with pytest.raises(CliError, match="not of the form of A2A"):
        print_tasks(page)


@pytest.mark.parametrize(
    "event",
    [
        {"task": {}},
        {"task": {"id": "t", "status": None}},
        {"task": {"id": "t", "status": {"state": "x"}, "artifacts": [1]}},
        {"statusUpdate": 7},
        {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": 5}}},
        {"message": "hi"},
    ],
    ids=json.dumps,
)
def test_an_answer_that_is_not_a2a_is_told_in_one_line(event: dict[str, Any]) -> None:
    with pytest.raises(CliError, match="not of the form of A2A"):
        Shown().take(event)


def test_chunks_are_appended_and_replaced_and_the_state_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown()
    shown.take({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}})
    for text, append in (("a\x1b", False), ("b", True)):
        artifact = {"artifactId": "r", "parts": [{"text": text}]}
        shown.take({"artifactUpdate": {"artifact": artifact, "append": append}})
    shown.take({"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}})
    assert shown.end() is ExitCode.OK
    written = capsys.readouterr()
    assert "\x1b" not in written.out + written.err
    assert json.loads(written.out) == "a\x1bb"
    assert "task t completed (context c)" in written.err
    for state, code in (("REJECTED", ExitCode.FAILED), ("AUTH_REQUIRED", ExitCode.WAITING), ("WORKING", ExitCode.OK)):
        shown.take({"statusUpdate": {"status": {"state": f"TASK_STATE_{state}"}}})
        assert shown.exit_code is code


def test_changes_name_the_task_of_a_stream_that_does_not_begin_with_it() -> None:
    shown = Shown()
    assert not shown.told
    status = {"state": "TASK_STATE_WORKING"}
    shown.take({"statusUpdate": {"taskId": "t", "contextId": "c", "status": status}})
    assert (shown.told, shown.settled, shown.task_id, shown.context_id) == (True, False, "t", "c")


def test_a_tenant_of_the_card_belongs_to_its_interface() -> None:
    [first, *_] = interfaces_to_try({"supportedInterfaces": [NEW]})
    assert first == Interface("https://a.example/rpc", "JSONRPC", "1.0", "t")

"""`asya task answer`: which input is answered, with what, and what is printed of a question."""

import json
import os
from typing import Any

import pytest

from asya_cli.errors import UsageProblem
from asya_cli.questions import addressed, answer_of, pause_text
from servers.forking import run
from tests.support.answers import answering
from tests.support.inputs import ALL_KINDS, FOLDERS, LISTED, NAME

FORM: Any = {
    "id": "hop-1",
    "prompt": "Go?",
    "fields": [{"name": "ok", "type": "boolean"}, {"name": "why", "options": ["a", "b"]}],
    "schema": {"properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
}


def several(inputs: dict[str, Any], **more: Any) -> Any:
    return {"id": "hop-1", "prompt": "Who are you?", "schema": {}, "fields": [], "inputs": inputs, **more}


def shown(pause: Any) -> list[str]:
    task: Any = {"id": "t-1", "status": "paused", "pause": pause}
    return pause_text(task).split("\n")


def test_a_form_is_one_command() -> None:
    assert shown(FORM) == ["Go?", "asya task answer t-1 ok=<boolean> [why=<a|b>]"]
    assert shown(FORM | {"prompt": "", "url": "https://x.example.com", "fields": []}) == [
        "waits for an answer",
        "https://x.example.com",
        "asya task answer t-1",
    ]


def test_each_input_has_its_command() -> None:
    assert shown(several(ALL_KINDS)) == [
        "Who are you?",
        "name: Who are you?",
        "asya task answer t-1 --input name name=<string>",
        "summary: a model's answer to",
        "  user: Sum it up",
        "asya task answer t-1 --input summary --json @FILE",
        'folders: folders, as {"roots": [{"uri": "file:///…"}]}',
        "asya task answer t-1 --input folders --json @FILE",
        "sign_in: Please sign in https://login.example.com/start",
        "asya task answer t-1 --input sign_in",
    ]


@pytest.mark.parametrize(
    ("pause", "words", "text", "key", "body"),
    [
        (FORM, ["ok=true"], None, None, {"answer": {"ok": True}}),
        (FORM, ["ok=true"], None, "hop-1", {"answer": {"ok": True}}),
        (several(ALL_KINDS), ["name=5"], None, "name", {"key": "name", "answer": {"name": "5"}}),
        (several({"name": NAME}), ["name=5"], None, None, {"key": "name", "answer": {"name": "5"}}),
        (several(ALL_KINDS), [], '{"roots": []}', "folders", {"key": "folders", "answer": {"roots": []}}),
        (several(ALL_KINDS), [], None, "sign_in", {"key": "sign_in", "action": "accept"}),
    ],
)
def test_an_answer_is_typed_by_the_schema_of_its_input(
    pause: Any, words: list[str], text: str | None, key: str | None, body: dict[str, Any]
) -> None:
    assert answer_of(pause, words, text, key=key) == body


@pytest.mark.parametrize(
    ("pause", "key", "said"),
    [
        (several(ALL_KINDS), None, "expected --input with one of the open inputs: name, summary, folders, sign_in"),
        (several({"folders": FOLDERS}), "name", "--input name: expected one of the open inputs: folders"),
        (FORM, "name", "--input name: the task asks one question, which needs no --input"),
    ],
)
def test_an_input_that_is_not_open_is_refused_with_those_that_are(pause: Any, key: str | None, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        addressed(pause, key)


def test_an_input_at_a_url_takes_no_values_here() -> None:
    with pytest.raises(UsageProblem, match=r"given at https://login\.example\.com/start"):
        answer_of(several(ALL_KINDS), ["code=1"], None, key="sign_in")


def test_what_the_command_sends_and_what_it_prints_of_the_rest() -> None:
    waiting = {"id": "t-1", "status": "paused", "pause": several({"name": NAME, "folders": FOLDERS})}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASYA_")}
    seen: list[tuple[str, Any]] = []
    with answering({"/tasks/t-1": waiting, "/tasks/t-1/resume": waiting}, seen) as url:

        def answer(*words: str) -> tuple[int, str]:
            done = run("asya_cli", "task", "answer", "t-1", "--url", url, *words, env=environment, timeout=50)
            return done.returncode, done.stderr

        code, printed = answer("--input", "name", "name=Ada")
        assert (code, f"asya task answer t-1 --url {url} --input folders --json @FILE\n" in printed) == (4, True)
        declined = "input name of task t-1 was declined; it stays open for others\n"
        assert answer("--input", "name", "--decline", "--no-wait") == (0, declined)
        assert answer("--input", "folders", "--cancel", "--no-wait")[1].startswith(
            "input folders of task t-1 was dismissed"
        )
        assert answer("--input", "folders", "--json", json.dumps(LISTED))[0] == 4
        for words in (["--decline", "--cancel"], ["--decline", "name=Ada"], ["name=Ada"]):
            code, printed = answer(*words)
            assert (code, "expected" in printed) == (2, True)
    assert [body for _, body in seen] == [
        {"key": "name", "answer": {"name": "Ada"}},
        {"key": "name", "action": "decline"},
        {"key": "folders", "action": "cancel"},
        {"key": "folders", "answer": LISTED},
    ]

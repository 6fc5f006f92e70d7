"""Untrusted text is always readable and never interpreted by a terminal, whatever it contains and wherever it is
printed."""

import json
import logging
import os
import re
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from asya_actor.telemetry.logs import TextLines
from asya_cli.dev.view import Picture, View
from asya_cli.rendering import err, out, print_json, print_result, print_task, tasks_table
from asya_cli.terminal import ReadableConsole
from asya_cli.watching import live_text, watch
from asya_crds.readable import json_escaped, readable
from asya_gateway.exposition.logs import TextLines as GatewayLines
from asya_operator.app import ReadableLines
from tests.support.answers import answering

TITLE = "\x1b]0;owned\x07"
HALF_AN_EMOJI = "\ud83d"
ANYTHING = st.text(
    st.characters(exclude_categories=[]) | st.characters(codec="latin-1") | st.sampled_from("\ud83d\x1b\x9b")
)
REORDERING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Unicode's property Bidi_Control, whole."""
OBEYED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{REORDERING}]")
OURS = re.compile(r"\x1b\[[0-9;]*m")


def task(text: str) -> dict[str, Any]:
    """A task that failed with this text, as the gateway tells it."""
    return {
        "id": "t-1",
        "flow": "work",
        "status": "failed",
        "progress_percent": 0.0,
        "route": {"prev": [], "curr": "worker", "next": ["next"]},
        "message": text,
        "created_at": "2026-01-01T00:00:00Z",
        "error": {"message": text, "class": "business", "actor": "worker", "details": {"type": "ValueError"}},
        "payload": {text: text},
        "current_actor_name": None,
    }


@given(ANYTHING)
@example(TITLE + HALF_AN_EMOJI)
@example(REORDERING)
def test_no_character_is_left_that_a_terminal_obeys_or_no_encoding_writes(text: str) -> None:
    shown = readable(text)
    assert not OBEYED.search(shown)
    assert readable(shown) == shown
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]) | st.sampled_from("\n\t🙂→é")))
def test_text_that_people_write_stays_as_it_is(text: str) -> None:
    assert readable(text) == text


@given(st.recursive(ANYTHING | st.integers(), lambda each: st.dictionaries(ANYTHING, each) | st.lists(each)))
def test_json_stays_the_same_document(value: Any) -> None:
    text = json_escaped(json.dumps(value, ensure_ascii=False))
    assert not OBEYED.search(text)
    assert json.loads(text) == json.loads(json.dumps(value))


@given(ANYTHING)
@example(TITLE + HALF_AN_EMOJI + "[bold]x[/bold] :smile:")
def test_a_terminal_gets_no_control_sequence_but_the_consoles_own(text: str) -> None:
    written = StringIO()
    console = ReadableConsole(file=written)
    console._force_terminal = True
    table = Table(box=None)
    table.add_row(text, Text(text, "red"))
    console.print(text, style="red")
    console.print(table)
    View(Picture(text, "http://x"), console).say("output", text)
    assert not OBEYED.search(OURS.sub("", written.getvalue()))
    assert ":smile:" not in text or ":smile:" in written.getvalue()


def test_what_a_failed_task_says_does_not_pass_for_a_line_of_asya_dev() -> None:
    written = StringIO()
    view = View(Picture("asya dev .", "http://127.0.0.1:8080"), ReadableConsole(file=written))
    view.say("error", "task t failed\nready at http://evil.example")
    assert written.getvalue().splitlines() == [
        "asya     │ task t failed",
        "asya     │   ready at http://evil.example",
    ]


@pytest.mark.parametrize(
    ("result", "printed"),
    [
        ("two\nlines, and a\ttab 🙂", "two\nlines, and a\ttab 🙂\n"),
        (TITLE, '"\\u001b]0;owned\\u0007"\n'),
        (HALF_AN_EMOJI, '"\\ud83d"\n'),
        ("a\x9bb", '"a\\u009bb"\n'),
    ],
)
def test_a_result_is_text_where_it_can_be_and_else_json(
    result: str, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = StringIO()
    monkeypatch.setattr(out, "_file", written)
    print_result(result)
    assert written.getvalue() == printed


def test_json_on_a_terminal_shows_the_escapes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    monkeypatch.setattr(out, "_file", written)
    monkeypatch.setattr(out, "_force_terminal", True)
    print_json({"a\x9b": HALF_AN_EMOJI})
    assert json.loads(OURS.sub("", written.getvalue())) == {"a\x9b": HALF_AN_EMOJI}


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-8", ["task", "get", "t-1"]),
        ("ascii", ["task", "get", "t-1", "--json"]),
        ("utf-16", ["task", "list"]),
        ("latin-1", ["task", "watch", "t-1"]),
    ],
)
def test_a_command_prints_something_readable_in_every_encoding(encoding: str, words: list[str]) -> None:
    text = f"no {HALF_AN_EMOJI} and é {TITLE}"
    with answering({"/tasks/t-1": task(text), "/tasks": {"tasks": [{**task(text), "flow": text}]}}) as url:
        done = subprocess.run(
            [sys.executable, "-m", "asya_cli", *words],
            capture_output=True,
            env=os.environ | {"ASYA_URL": url, "PYTHONIOENCODING": encoding},
            timeout=30,
            check=False,
        )
    assert done.returncode == (1 if "watch" in words else 0), done.stderr
    # Each stream begins with a mark of its own in UTF-16.
    said = (done.stdout or done.stderr).decode(encoding, "strict")
    assert "t-1" in said
    assert "d83d" in said
    assert not OBEYED.search(said.removeprefix("\ufeff"))
    if "--json" in words:
        assert json.loads(said)["message"] == text


def test_escapes_are_shown_whole_in_tables_and_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """An escape is wider than its character; and rich drops the bell, backspace and the like by itself."""
    written, text = StringIO(), f"a\x07\x08\r{TITLE}{HALF_AN_EMOJI}b"
    monkeypatch.setattr(out, "_file", written)
    failed = task(text)
    print_task(failed)  # type: ignore[arg-type]
    failed["flow"] = text
    out.print(tasks_table([failed]))  # type: ignore[list-item]
    out.print(text)
    line, *rest = [line for line in written.getvalue().splitlines() if line.startswith("error")]
    assert not rest
    assert line.endswith(f"ValueError: {readable(text)} (business in worker)")
    assert written.getvalue().count(readable(text)) == 4


@pytest.mark.parametrize("formatter", [TextLines(), GatewayLines(), ReadableLines("%(message)s")])
def test_a_log_for_people_is_readable(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "%s", "args": (TITLE + HALF_AN_EMOJI,), "levelname": "INFO"})
    line = formatter.format(record)
    assert line.endswith("\\x1b]0;owned\\x07\\ud83d")


async def test_tokens_that_stream_are_not_obeyed_either(monkeypatch: pytest.MonkeyPatch) -> None:
    from asya_cli.client import Event

    class Client:
        calls = 0

        async def task(self, _id: str) -> dict[str, Any]:
            self.calls += 1
            return {**task("x"), "status": "running" if self.calls == 1 else "succeeded", "result": 1}

        async def follow(self, _id: str) -> Any:
            yield Event("partial", {"token": TITLE})

    written = StringIO()
    monkeypatch.setattr(err, "_file", written)
    monkeypatch.setattr(out, "_file", StringIO())
    await watch(Client(), "t-1")  # type: ignore[arg-type]
    assert written.getvalue() == "\\x1b]0;owned\\x07\n"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"artifact_update": {"artifact": {"parts": [{"text": "a"}, {"text": "b"}]}}}, "ab"),
        ({"message": {"parts": [{"text": "a"}, "b", None, {"text": 7}, {"data": {}}]}}, "a"),
        ({"artifact_update": None}, '{"artifact_update": null}\n'),
        ({"artifact_update": "soon", "message": {"parts": [{"text": "a"}]}}, "a"),
        ({"artifact_update": {"artifact": [1]}}, '{"artifact_update": {"artifact": [1]}}\n'),
        ({"message": {"parts": "a"}}, '{"message": {"parts": "a"}}\n'),
        (None, "null\n"),
    ],
)
def test_a_live_event_of_any_shape_prints_something(payload: Any, text: str) -> None:
    assert live_text(payload) == text

"""What is printed can be used: addresses of `asya dev`, and ids after Ctrl-C."""

import asyncio
import os
import signal
import subprocess
from contextlib import ExitStack
from io import StringIO
from typing import Any

import pytest

from asya_cli import client
from asya_cli.errors import CliError, ExitCode
from asya_cli.options import base_of
from asya_cli.rendering import err
from asya_cli.watching import watch
from servers.forking import run, start
from tests.support.answers import answering
from tests.support.waiting import until

TASK = {"id": "t-2", "flow": "work", "status": "succeeded", "result": "two\nlines", "payload": {"a": 1, "b": 2}}


@pytest.mark.parametrize("route", ["", "/", "/mcp", "/mcp/", "/tools/call", "/openapi.json", "/health/ready"])
@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "https://asya.example.com/prefix"])
def test_any_address_of_a_gateway_names_it(base: str, route: str) -> None:
    assert base_of(base + route) == base


def asya(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASYA_")}
    return run("asya_cli", *words, env=kept | variables, timeout=50)


PAUSED = TASK | {
    "status": "paused",
    "result": None,
    "pause": {"prompt": "Go?", "fields": [{"name": "ok", "type": "boolean"}], "schema": {"required": ["ok"]}},
}


def test_the_command_that_answers_a_question_goes_to_the_same_gateway() -> None:
    with answering({"/tasks/t-2": PAUSED}) as url:
        given = asya("task", "watch", "t-2", "--url", url)
        from_variable = asya("task", "watch", "t-2", ASYA_URL=url)
    assert f"asya task answer t-2 --url {url} ok=<boolean>\n" in given.stderr
    assert "asya task answer t-2 ok=<boolean>\n" in from_variable.stderr
    assert given.returncode == from_variable.returncode == 4


async def test_a_gateway_that_is_lost_is_said_at_once_and_at_the_end_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = StringIO()
    monkeypatch.setattr(err, "_file", written)
    monkeypatch.setattr(client, "RECONNECTS", 2)
    running = TASK | {"status": "running", "result": None}
    with ExitStack() as server:
        url = server.enter_context(answering({"/tasks/t-2": running, "/stream/t-2": None}))
        async with client.connect(url) as gateway:
            watching = asyncio.create_task(watch(gateway, "t-2"))
            await until(lambda: "0.0 %" in written.getvalue(), 20, "no update was shown")
            server.close()
            with pytest.raises(CliError) as caught:
                await watching
    assert written.getvalue().splitlines()[1:] == ["connection lost, trying again"]
    assert caught.value.code is ExitCode.UNREACHABLE
    assert caught.value.message.endswith("could not be opened again; to watch the task again: asya task watch t-2")


def test_a_task_is_canceled_with_a_reason() -> None:
    seen: list[tuple[str, Any]] = []
    with answering({"/tasks/t-2/cancel": TASK | {"status": "canceled"}}, seen) as url:
        assert asya("task", "cancel", "t-2", "--reason", "too late", "--url", url).returncode == 0
        assert asya("task", "cancel", "t-2", "--url", url).returncode == 0
    assert seen == [("/tasks/t-2/cancel", {"reason": "too late"}), ("/tasks/t-2/cancel", {})]


@pytest.mark.parametrize("by_option", [True, False])
def test_ctrl_c_prints_the_tasks_id_and_how_to_go_on(by_option: bool) -> None:
    running = TASK | {"status": "running", "result": None}
    with answering({"/tasks/t-2": running, "/stream/t-2": None}) as url:
        words = ("task", "watch", "t-2", *(["--url", url] if by_option else []))
        process = start("asya_cli", *words, env=os.environ | {"ASYA_URL": url}, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("  0.0 %")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=50)
    assert process.returncode == 130
    at = f" --url {url}" if by_option else ""
    assert f"task t-2 goes on: asya task watch t-2{at}, or asya task cancel t-2{at}\n" in said

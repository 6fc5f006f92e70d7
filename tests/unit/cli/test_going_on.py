"""What is printed can be used: addresses of `asya dev`, and ids after Ctrl-C."""

import os
import signal
import subprocess
import sys

import pytest

from asya_cli.options import base_of
from tests.support.answers import answering

TASK = {"id": "t-2", "flow": "work", "status": "succeeded", "result": "two\nlines", "payload": {"a": 1, "b": 2}}


@pytest.mark.parametrize("route", ["", "/", "/mcp", "/mcp/", "/tools/call", "/openapi.json", "/health/ready"])
@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "https://asya.example.com/prefix"])
def test_any_address_of_a_gateway_names_it(base: str, route: str) -> None:
    assert base_of(base + route) == base


def test_ctrl_c_prints_the_tasks_id_and_how_to_go_on() -> None:
    running = TASK | {"status": "running", "result": None}
    with answering({"/tasks/t-2": running, "/stream/t-2": None}) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "asya_cli", "task", "watch", "t-2"],
            env=os.environ | {"ASYA_URL": url},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("  0.0 %")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=50)
    assert process.returncode == 130
    assert "task t-2 goes on: asya task watch t-2, or asya task cancel t-2" in said

"""The steps of docs/how-to/a2a.md, as a reader copies them, at a real `asya dev`."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import tools
from tests.support.dev import EXAMPLES, DevRun, dev_run, run_asya

pytestmark = pytest.mark.timeout(400)

PAGE = (EXAMPLES.parent / "how-to" / "a2a.md").read_text()
ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def example() -> Iterator[DevRun]:
    with dev_run(EXAMPLES / "approval", "--ephemeral") as run:
        yield run


def test_the_start_names_the_card(example: DevRun) -> None:
    assert f"agent card       {example.url}/.well-known/agent-card.json" in "\n".join(example.lines)


def test_the_command_line_asks_and_answers(example: DevRun) -> None:
    assert "publish_note" in run_asya("a2a", "card", url=example.url).stdout
    asked = run_asya("a2a", "send", "--data", '{"topic": "the new harbour"}', url=example.url)
    assert asked.returncode == 4
    [task_id] = re.findall(r"asya a2a send --task (\S+)", asked.stderr)
    answered = run_asya("a2a", "send", "--task", task_id, "yes", url=example.url)
    assert json.loads(answered.stdout)["published"] is True


def test_both_requests_of_curl_get_a_question(example: DevRun) -> None:
    section = PAGE.split("\n## curl\n")[1].split("\n## ")[0]
    found = re.findall(r"^    (curl .*?\}'$)", section, re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    for command in found:
        text = re.sub(r"\n    ", "\n", command).replace(ADDRESS, example.url)
        done = subprocess.run(text, shell=True, capture_output=True, text=True, check=True)
        assert "TASK_STATE_INPUT_REQUIRED" in done.stdout


async def test_the_program_of_the_python_sdk(example: DevRun, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "client.py"
    file.write_text(program)
    done = await tools.run(tools.a2a(1), str(file), ASYA_URL=example.url)
    assert done.status == 0, done.stderr
    asked, ended = done.stdout.splitlines()
    assert asked.startswith("TASK_STATE_INPUT_REQUIRED Publish this?")
    assert ended.startswith("TASK_STATE_COMPLETED")
    assert "True" in ended

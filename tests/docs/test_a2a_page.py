"""docs/how-to/a2a.md: its commands are ours, and the README leads to it. tests/conformance runs its steps."""

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from asya_cli.main import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "a2a.md").read_text()


def test_its_commands_have_the_options_that_it_uses() -> None:
    commands = [shlex.split(line) for line in re.findall(r"^    asya (a2a .*)$", PAGE, re.MULTILINE)]
    assert len(commands) == 4
    for words in commands:
        shown = CliRunner().invoke(app, [*words[:2], "--help"], env={"COLUMNS": "200"}).stdout
        assert [word for word in words if word.startswith("--") and word not in shown] == []


def test_readme_leads_to_the_page() -> None:
    assert "(docs/how-to/a2a.md)" in (ROOT / "README.md").read_text()

"""docs/how-to/a2a.md: its commands are ours, and the README leads to it. tests/conformance runs its steps."""

import re
import shlex
from pathlib import Path

import yaml
from typer.testing import CliRunner

from asya_cli.main import app
from asya_gateway.protocols.a2a.card_routes import WELL_KNOWN
from asya_gateway.protocols.a2a.request import PATH

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "a2a.md").read_text()


def test_its_commands_have_the_options_that_it_uses() -> None:
    commands = [shlex.split(line) for line in re.findall(r"^    asya (a2a .*)$", PAGE, re.MULTILINE)]
    assert len(commands) == 4
    for words in commands:
        shown = CliRunner().invoke(app, [*words[:2], "--help"], env={"COLUMNS": "200"}).stdout
        assert [word for word in words if word.startswith("--") and word not in shown] == []


def test_the_backend_of_agentgateway_is_our_service() -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    backend, route = yaml.safe_load_all(text)
    base = yaml.safe_load_all((ROOT / "manifests" / "base" / "gateway-api.yaml").read_text())
    [service] = [each for each in base if each["kind"] == "Service"]
    a2a, named = backend["spec"]["a2a"], service["metadata"]["name"]
    assert a2a["host"] == f"{named}.asya.svc.cluster.local"
    assert a2a["port"] in [port["port"] for port in service["spec"]["ports"]]
    [rule] = route["spec"]["rules"]
    assert rule["backendRefs"][0]["name"] == backend["metadata"]["name"]
    prefixes = [match["path"]["value"] for match in rule["matches"]]
    paths = [WELL_KNOWN[0], WELL_KNOWN[1], PATH]
    assert all(any(path.startswith(prefix) for prefix in prefixes) for path in paths)


def test_readme_leads_to_the_page() -> None:
    assert "(docs/how-to/a2a.md)" in (ROOT / "README.md").read_text()

"""docs/how-to/mcp-clients.md: its files are valid and name the endpoint. Tests of text-pipeline run its requests."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "mcp-clients.md").read_text()
ENDPOINT = "http://127.0.0.1:8080/mcp"


def test_every_file_is_complete_json_and_names_the_endpoint() -> None:
    files = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    entries = [(word, entry) for file in files for word, servers in file.items() for entry in servers.values()]
    assert [word for word, _ in entries] == ["mcpServers", "mcpServers", "mcpServers", "servers"]
    for _, entry in entries:
        assert ENDPOINT in (entry.get("url"), *entry.get("args", []))


def test_the_file_for_goose_is_yaml_and_names_the_endpoint() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (extension,) = yaml.safe_load(block)["extensions"].values()
    assert (extension["type"], extension["uri"]) == ("streamable_http", ENDPOINT)


def test_clients_that_were_tried_are_named_in_the_versions_of_the_tests() -> None:
    conformance = ROOT / "tests" / "conformance"
    packages = json.loads((conformance / "node" / "package.json").read_text())["dependencies"]
    pins = "\n".join(path.read_text() for path in [*conformance.glob("python/*.txt"), ROOT / "constraints.txt"])
    pinned = {(name, version.lstrip("^~")) for name, version in packages.items()}
    pinned |= set(re.findall(r"^([a-z0-9-]+)==([^\s\\;]+)", pins, re.MULTILINE))
    table = PAGE.partition("## What each client can do")[2].partition("## If it")[0]
    named = re.findall(r"^\| (?:[A-Za-z ]*`([^`]+)` |(inspector) )([0-9.]+)", table, re.MULTILINE)
    assert len(named) == 8
    for quoted, plain, version in named:
        assert (quoted or f"@modelcontextprotocol/{plain}", version) in pinned


def test_readme_leads_to_the_page() -> None:
    assert "(docs/how-to/mcp-clients.md)" in (ROOT / "README.md").read_text()

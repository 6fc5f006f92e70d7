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


def test_readme_leads_to_the_page() -> None:
    assert "(docs/how-to/mcp-clients.md)" in (ROOT / "README.md").read_text()

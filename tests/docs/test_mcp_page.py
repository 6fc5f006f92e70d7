"""docs/how-to/mcp.md: its requests keep the protocol's schemas, its flow is one, and its clients are those that the
tests try."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from asya_crds.flow import Flow
from tests.conformance.clients import CLIENTS, EXT_TASKS, Can, Client
from tests.support import mcp
from tests.support.mcp import LATEST, conforms

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "mcp.md").read_text()
DEFINITIONS = {
    "tools/call": ("CallToolRequest", LATEST),
    "tasks/get": ("GetTaskRequest", mcp.EXT_TASKS),
    "tasks/update": ("UpdateTaskRequest", mcp.EXT_TASKS),
}


def requests() -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) + re.findall(r"-d '\n(.*?)'\n", PAGE, re.DOTALL)
    return [found for found in map(json.loads, blocks) if "method" in found]


def test_every_request_keeps_its_schema() -> None:
    assert {request["method"] for request in requests()} == set(DEFINITIONS)
    for request in requests():
        conforms(request, *DEFINITIONS[request["method"]])
        assert request["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == LATEST


def test_every_flow_is_one() -> None:
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        for flow in yaml.safe_load(block)["flows"]:
            Flow.model_validate(flow)


async def test_the_resource_is_read_as_another_process_has_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOMERS", str(tmp_path / "customers.db"))
    [code] = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def customers" in block]
    reader: dict[str, Any] = {}
    writer: dict[str, Any] = {}
    for each in (reader, writer):
        exec(code, each)
    assert reader["customers"]({"id": 7}) == {"contents": []}
    told = [each async for each in writer["update"]({"id": 7, "name": "Ada"})]
    assert told == [("FLY", {"resource_updated": "crm://customers/7"}), {"id": 7, "name": "Ada"}]
    assert reader["customers"]({"id": 7}) == {"id": 7, "name": "Ada"}


def words(client: Client) -> list[str]:
    """The line of the table that its tests prove."""

    def yes(can: Can) -> str:
        return "yes" if can in client.can else "no"

    polls = Can.PROGRESS not in client.can
    timer = "its timer" if Can.RESETS in client.can else "its connection"
    over = "HTTP+SSE" if client.sse else client.revision
    key = "timer, key" if client.loses else "key"
    return [
        f"`{client.package.name}` {client.package.version}",
        f"`{' '.join(client.bridge[1:])}`" if client.bridge else over,
        yes(Can.PROGRESS),
        "polls" if polls else "passes it on" if client.bridge else timer,
        yes(Can.CANCEL),
        yes(Can.ELICITATION),
        "task" if polls else "goes on" if Can.RESUMES in client.can else key,
        yes(Can.PROMPTS) if client.package is not EXT_TASKS else "–",
        yes(Can.TASKS),
    ]


INSPECTED = [["no", "–", "no", "elsewhere", "–", "yes", "no"], ["no", "polls", "no", "elsewhere", "–", "yes", "yes"]]
"""What tests/conformance/test_inspector.py proves, after a handshake and in the newest revision."""


def test_the_table_of_clients_says_what_their_tests_prove() -> None:
    section = PAGE.partition("## What each client can do")[2]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", section, re.MULTILINE)
    ]
    by_hand = [line for line in lines if line[0].startswith("inspector")]
    assert [line for line in lines[2:] if line not in by_hand] == [words(client) for client in CLIENTS]
    assert [line[1] for line in by_hand] == ["2025-11-25, HTTP+SSE", "2026-07-28"]
    assert [line[2:] for line in by_hand] == INSPECTED


def test_clients_are_named_in_the_versions_of_the_tests() -> None:
    conformance = ROOT / "tests" / "conformance"
    packages = json.loads((conformance / "node" / "package.json").read_text())["dependencies"]
    pins = "\n".join(path.read_text() for path in conformance.glob("python/*.txt"))
    pinned = {*packages.items(), *re.findall(r"^([a-z0-9-]+)==(\S+)", pins, re.MULTILINE)}
    assert {(client.package.name, client.package.version) for client in CLIENTS} <= pinned
    assert f"inspector {packages['@modelcontextprotocol/inspector']}, `--cli`" in PAGE
    assert set(re.findall(r"mcp-remote@([0-9.]+)", PAGE)) == {packages["mcp-remote"]}


def test_the_steps_for_clients_are_those_of_their_own_page() -> None:
    """docs/how-to/mcp-clients.md has whole files; a test of that page reads them."""
    others = (ROOT / "docs" / "how-to" / "mcp-clients.md").read_text()
    section = PAGE.partition("## Connect a client")[2].partition("## Connect through")[0]
    commands = re.findall(r"`((?:claude|goose) [^`]+)`", section)
    assert len(commands) == 2
    assert all(command in others for command in commands)
    [cursor] = [json.loads(entry) for entry in re.findall(r'`(\{"mcpServers".*?\})`', section)]
    [code] = [json.loads(entry) for entry in re.findall(r"--add-mcp '(.*?)'", section)]
    files = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", others, re.DOTALL)]
    assert cursor in files
    assert {"servers": {code.pop("name"): code}} in files


def test_the_command_of_mcp_remote_is_that_of_its_own_page() -> None:
    others = (ROOT / "docs" / "how-to" / "mcp-clients.md").read_text()
    [block] = [found for found in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if "mcpServers" in found]
    files = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", others, re.DOTALL)]
    assert json.loads(re.sub(r"@[0-9.]+", "", block)) in files


def test_readme_leads_to_the_page() -> None:
    assert "(docs/how-to/mcp.md)" in (ROOT / "README.md").read_text()

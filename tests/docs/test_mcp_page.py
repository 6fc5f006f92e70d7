"""docs/how-to/mcp.md: its requests keep the protocol's schemas, and its flow is one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from asya_crds.flow import Flow
from tests.support.mcp import EXT_TASKS, LATEST, conforms

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "mcp.md").read_text()
DEFINITIONS = {
    "tools/call": ("CallToolRequest", LATEST),
    "tasks/get": ("GetTaskRequest", EXT_TASKS),
    "tasks/update": ("UpdateTaskRequest", EXT_TASKS),
}


def requests() -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) + re.findall(r"-d '\n(.*?)'\n", PAGE, re.DOTALL)
    return [json.loads(block) for block in blocks]


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


def test_readme_leads_to_the_page() -> None:
    assert "(docs/how-to/mcp.md)" in (ROOT / "README.md").read_text()

"""docs/how-to/flows.md: its examples are read without a mistake, and its table has every field."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from asya_crds.flow import A2aExposure, Flow, McpExposure
from asya_crds.flows_file import read_texts
from asya_crds.mcp_offers import McpPrompt, McpResource
from asya_crds.registry_document import RegistryPush
from asya_crds.schema_rules import DIALECT
from asya_crds.yaml_text import Yaml
from asya_schemas.flows import check_flow

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "how-to" / "flows.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_is_a_flow_that_is_served(number: int) -> None:
    found = read_texts({"flows.yaml": EXAMPLES[number].encode()}, Yaml(yaml.CSafeLoader, yaml.YAMLError))
    assert found.problems == ()
    assert found.flows
    for each in found.flows:
        if each.flow.mcp is not None:
            check_flow(each.flow)


def fields(model: type[BaseModel], prefix: str = "") -> set[str]:
    return {f"{prefix}{field.alias or name}" for name, field in model.model_fields.items()}


def test_the_table_has_every_field_and_no_other() -> None:
    expected = fields(Flow) | fields(McpExposure, "mcp.") | fields(A2aExposure, "a2a.")
    expected |= fields(McpPrompt, "mcp.prompt.") | fields(McpResource, "mcp.resource.")
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == expected


def test_the_pushed_document_of_the_page_is_one() -> None:
    (document, *_) = re.findall(r"```json\n(.*?)```", (DOCS / "protocols" / "registry.md").read_text(), re.S)
    push = RegistryPush.model_validate_json(document)
    assert push.configmap is not None
    assert push.configmap.flows[0].line == 3


def test_the_page_says_which_dialect_schemas_have() -> None:
    """MCP 2026-07-28, basic: "Clients and servers SHOULD document which schema dialects they support"."""
    assert DIALECT == "https://json-schema.org/draft/2020-12/schema"
    (row,) = re.findall(r"^\| `mcp\.inputSchema` \|.*$", PAGE, re.M)
    assert "JSON Schema 2020-12" in row
    older = {"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}
    with pytest.raises(ValueError, match="2020-12"):
        Flow.model_validate({"name": "f", "entrypoint": "a", "mcp": {"inputSchema": older}})

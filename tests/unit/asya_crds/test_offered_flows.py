"""What a flow offers over MCP beside a tool, and what is refused with which reason."""

from typing import Any

import pytest
import yaml

from asya_crds.flow import Flow
from asya_crds.flows_file import InvalidFlow, flow_of, read_texts
from asya_crds.yaml_text import Yaml
from asya_schemas.flows import check_flow

YAML = Yaml(yaml.SafeLoader, yaml.YAMLError)


def flow(**mcp: Any) -> Flow:
    return flow_of({"name": "f", "entrypoint": "a", "mcp": mcp})


def reason(mcp: Any, **more: Any) -> str:
    with pytest.raises(InvalidFlow) as refused:
        flow_of({"name": "f", "entrypoint": "a", "mcp": mcp, **more}, check_flow)
    return str(refused.value)


def test_a_flow_is_a_tool_unless_it_says_otherwise() -> None:
    assert flow().is_tool
    hidden = flow(tool=False)
    assert (hidden.is_tool, hidden.exposed) == (False, False)
    assert flow(tool=False, prompt={}).exposed


def test_what_is_offered_reads_back_as_it_was_pushed() -> None:
    made = flow(
        tool=False,
        prompt={"name": "p", "arguments": [{"name": "a", "required": True, "enum": ["x"]}]},
        resource={"uriTemplate": "a://{id}", "mimeType": "text/plain", "annotations": {"audience": ["user"]}},
        icons=[{"src": "https://example.com/i.png", "sizes": ["48x48"], "theme": "dark"}],
        _meta={"com.example/group": {"n": [1, None]}},
    )
    assert flow_of(made.document()) == made
    assert made.document()["mcp"]["_meta"] == {"com.example/group": {"n": [1, None]}}


@pytest.mark.parametrize(
    ("mcp", "expected"),
    [
        ({"prompt": None}, "mcp.prompt: expected an object; write `prompt: {}`"),
        ({"prompt": {"arguments": [{"name": "a"}, {"name": "a"}]}}, "each argument's name once"),
        ({"prompt": {"arguments": [{"nam": "a"}]}}, "did you mean name?"),
        ({"resource": {}}, "mcp.resource: expected either uri or uriTemplate"),
        ({"resource": {"uri": "a://b", "uriTemplate": "a://{b}"}}, "expected either uri or uriTemplate"),
        ({"resource": {"uri": "handbook"}}, "mcp.resource.uri: expected an absolute URI"),
        ({"resource": {"uriTemplate": "a://{b}{c}"}}, "mcp.resource.uriTemplate: expected some text between"),
        ({"resource": {"uriTemplate": "a://{b}", "size": 1}}, "size: expected only with uri"),
        ({"resource": {"uri": "a://b", "size": -1}}, "mcp.resource.size: expected at least 0"),
        ({"resource": {"uri": "a://b", "mimeType": "text"}}, "expected a media type"),
        ({"icons": [{"src": "http://example.com/i.png"}]}, "mcp.icons.0.src: expected an https: URL"),
        ({"icons": [{"src": "https://e.com/i", "sizes": ["big"]}]}, "expected a size such as 48x48"),
        ({"icons": [{"src": "https://e.com/i"}] * 17}, "mcp.icons: "),
        ({"_meta": {"a": "x" * 17_000}}, "mcp._meta: expected at most 16384 characters"),
        ({"tool": "no way"}, "mcp.tool: expected true or false"),
    ],
)
def test_a_mistake_is_named_with_its_field(mcp: dict[str, Any], expected: str) -> None:
    assert expected in reason(mcp)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "expected $schema to be https://json-schema.org"),
        ({"properties": {"a": {"type": "array", "x-mcp-header": "A"}}}, "needs type integer, string or boolean"),
        ({"properties": {"a": {"type": "string", "x-mcp-header": "a b"}}}, "expected x-mcp-header to be a header name"),
        (
            {"properties": {n: {"type": "string", "x-mcp-header": "A"} for n in "ab"}},
            "x-mcp-header A is taken by /properties/a",
        ),
    ],
)
def test_a_schema_that_clients_would_drop_is_refused_at_registration(schema: dict[str, Any], expected: str) -> None:
    """streamable-http, "Custom Headers from Tool Parameters": 'Clients … MUST reject tool definitions' that break the
    rules; server/tools: an implementation 'MUST support at least 2020-12'."""
    assert expected in reason({"inputSchema": {"type": "object", **schema}})


@pytest.mark.parametrize("tag", ["sse", "messages", "agents", "a b", "", "-a"])
def test_a_tag_is_a_part_of_a_path_and_no_reserved_word(tag: str) -> None:
    assert reason({}, tags=[tag]).startswith("tags.0: expected")


SETS = """
sets:
  sales: [quote, customer]
  sse: [quote]
  bad: quote
flows:
  - {name: quote, entrypoint: a, tags: [reports], mcp: {}}
"""


def test_sets_are_read_beside_flows_and_a_wrong_one_costs_no_other() -> None:
    found = read_texts({"a.yaml": SETS.encode(), "b.yaml": b"sets: {sales: [other], more: []}"}, YAML)
    assert [(each.name, each.flows, each.line) for each in found.sets] == [
        ("sales", ["quote", "customer"], 3),
        ("more", [], 1),
    ]
    assert [each.flow.name for each in found.flows] == ["quote"]
    assert [(each.line, each.reason.split(":")[0]) for each in found.problems] == [
        (4, "sets.sse"),
        (5, "sets.bad"),
        (1, "sets.sales"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"prompt": {"name": "p"}}, {"prompt": {"name": "p"}}),
        ({"resource": {"uri": "a://b"}}, {"resource": {"uri": "a://b"}}),
    ],
)
def test_two_flows_cannot_offer_the_same_prompt_or_resource(one: dict[str, Any], other: dict[str, Any]) -> None:
    flows = [{"name": name, "entrypoint": "a", "mcp": mcp} for name, mcp in (("first", one), ("second", other))]
    found = read_texts({"flows.yaml": yaml.safe_dump({"flows": flows}).encode()}, YAML)
    assert [each.flow.name for each in found.flows] == ["first"]
    (problem,) = found.problems
    assert problem.name == "second"
    assert "is taken by flows.yaml, line" in problem.reason

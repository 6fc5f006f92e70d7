"""flows.yaml as people write it: what is read, and which line a mistake is reported for."""

import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.flows_file import FlowsText, content_hash, flow_of, is_flows_key, read_flows, read_texts
from asya_crds.registry_text import kept_from
from asya_crds.yaml_text import Unreadable, Yaml, parse

YAML = Yaml(yaml.CSafeLoader, yaml.YAMLError)


def read(text: str, name: str = "flows.yaml") -> FlowsText:
    return read_texts({name: text.encode()}, YAML)


def only_problem(text: str) -> tuple[str, int | None]:
    found = read(text)
    assert len(found.problems) == 1, found.problems
    return found.problems[0].reason, found.problems[0].line


def test_unknown_fields_are_told_in_the_order_of_the_document_so_that_every_process_tells_the_same() -> None:
    names = [f"field{number}" for number in range(12)]
    found = read("".join(f"{name}: 1\n" for name in names) + "flows: []\n")
    assert [problem.reason for problem in found.problems] == [f"{name}: unknown field beside flows" for name in names]
    assert [problem.line for problem in found.problems] == list(range(1, 13))


def test_reads_the_flow_of_the_document() -> None:
    found = read(
        """
flows:
  - name: image-enhance
    entrypoint: download-image
    route_next: [enhance, upload]
    description: Enhance image quality
    timeout: 120
    mcp:
      inputSchema:
        type: object
        properties:
          image_url: {type: string}
        required: [image_url]
    a2a: {}
"""
    )
    assert found.problems == ()
    flow = found.flows[0].flow
    assert found.flows[0].line == 3
    assert flow.actors == ("download-image", "enhance", "upload")
    assert flow.timeout == 120
    assert flow.mcp is not None
    assert flow.mcp.input_schema["required"] == ["image_url"]
    assert flow.a2a is not None
    assert flow.a2a.tags == ["asya"]
    assert flow.a2a.input_modes == ["text/plain", "application/json"]
    assert list(flow.document()) == ["entrypoint", "routeNext", "description", "timeout", "mcp", "a2a", "name"]


@pytest.mark.parametrize(
    ("camel", "snake"),
    [
        ("routeNext: [b]", "route_next: [b]"),
        ("mcp: {inputSchema: {type: object}}", "mcp: {input_schema: {type: object}}"),
        ("mcp: {outputSchema: {type: string}}", "mcp: {output_schema: {type: string}}"),
        ("a2a: {inputModes: [a/b], outputModes: [c/d]}", "a2a: {input_modes: [a/b], output_modes: [c/d]}"),
    ],
)
def test_both_spellings_mean_the_same(camel: str, snake: str) -> None:
    one, two = (read(f"name: f\nentrypoint: a\n{line}\n") for line in (camel, snake))
    assert one.problems == two.problems == ()
    assert one.flows[0].flow == two.flows[0].flow
    assert "_" not in "".join(one.flows[0].flow.document())


def test_a_null_exposure_shows_what_to_write() -> None:
    reason, line = only_problem("flows:\n- name: f\n  entrypoint: a\n  mcp:\n")
    assert "`mcp: {}`" in reason
    assert line == 4


def test_one_bad_flow_leaves_the_others() -> None:
    found = read(
        "flows:\n- {name: good, entrypoint: a}\n- {name: bad, entrypoint: A_B}\n- {name: fine, entrypoint: b}\n"
    )
    assert [each.flow.name for each in found.flows] == ["good", "fine"]
    assert [(each.name, each.line) for each in found.problems] == [("bad", 3)]


@pytest.mark.parametrize(
    ("text", "part", "line"),
    [
        ("name: f\nentry_point: a\nentrypoint: a\n", "did you mean entrypoint?", 2),
        ("name: f\nentrypoint: a\nrouteNext: [b]\nroute_next: [c]\n", "given together with routeNext", 3),
        ("name: f\n", "entrypoint: required field is missing", 1),
        ("entrypoint: a\n", "name: required field is missing", 1),
        ("name: f\nentrypoint: a\ntimeout: soon\n", "timeout: expected a duration", 3),
        ("name: f\nentrypoint: a\ntimeout: 0\n", "leave timeout out", 3),
        ("name: f\nentrypoint: a\ntimeout: 5\ntimeout: 6\n", "timeout: the key occurs twice", 4),
        ("name: f\nentrypoint: a\nrouteNext:\n- b\n- x-sink\n", "routeNext.1: x-sink must not be named", 5),
        ("name: f\nentrypoint: a\nrouteNext: [x-resume]\n", "x-resume must not be named", 3),
        ("name: f\nentrypoint: x-pause\n", "x-pause needs an actor before it", 2),
        ("name: f f\nentrypoint: a\n", "expected a flow name", 1),
        ("name: 5\nentrypoint: a\n", "expected text; quote it", 1),
        ("name: f\nentrypoint: a\nscopes: ['a b']\n", "expected a scope", 3),
        ("name: f\nentrypoint: a\na2a: {inputModes: [text]}\n", "expected a media type", 3),
        ("name: tasks\nentrypoint: a\na2a: {}\n", "a2a: expected another name of a skill", 1),
        ("name: f\nentrypoint: a\nmcp:\n  annotations:\n    readOnlyHint: maybe\n", "expected true or false", 5),
        ("name: f\nentrypoint: a\nmcp:\n  inputSchema:\n    type: string\n", '"type": "object" at its root', 4),
        (
            "name: f\nentrypoint: a\nmcp:\n  inputSchema:\n    properties:\n      x:\n        $ref: http://x/y\n",
            "other documents are never fetched",
            7,
        ),
        ("name: f\nentrypoint: a\nmcp: {inputSchema: {type: object, default: .nan}}\n", "not JSON numbers", 3),
        ("name: f\nentrypoint: a\nmcp: !!python/name:os.system x\n", "unknown tag", 3),
        ("- name: f\n", "expected `flows:` with a list", 1),
        ("flows: {a: b}\n", "flows: expected a list", 1),
        ("tools: []\n", "expected `flows:` with a list", 1),
        ("flows: []\nextra: 1\n", "extra: unknown field", 2),
        ("flows:\n- 5\n", "expected a flow", 2),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, part: str, line: int) -> None:
    reason, found = only_problem(text)
    assert part in reason
    assert found == line


def test_every_mistake_of_a_flow_is_named() -> None:
    found = read("flows:\n- name: f\n  entrypoint: A\n  timeout: x\n  mcp:\n")
    assert [each.line for each in found.problems] == [3, 4, 5]


def test_a_flat_map_of_parameters_is_the_schema_that_it_means() -> None:
    found = read(
        "name: f\nentrypoint: a\nmcp: {inputSchema: {who: {type: string, required: true}, n: {type: integer}}}\n"
    )
    mcp = found.flows[0].flow.mcp
    assert mcp is not None
    assert mcp.input_schema == {
        "type": "object",
        "properties": {"who": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["who"],
    }


def test_a_parameter_may_be_called_type_or_required() -> None:
    flow = flow_of(
        {
            "name": "f",
            "entrypoint": "a",
            "mcp": {"inputSchema": {"type": {"type": "string"}, "required": {"type": "boolean"}}},
        }
    )
    assert flow.mcp is not None
    assert set(flow.mcp.input_schema["properties"]) == {"type", "required"}


def test_keys_are_text_and_dates_stay_text() -> None:
    flow = (
        read("name: f\nentrypoint: a\nmcp: {inputSchema: {type: object, properties: {on: {default: 2020-01-01}}}}\n")
        .flows[0]
        .flow
    )
    assert flow.mcp is not None
    assert flow.mcp.input_schema["properties"] == {"on": {"default": "2020-01-01"}}


def test_anchors_and_merge_keys_work() -> None:
    found = read("flows:\n- &base {name: one, entrypoint: a, timeout: 5s}\n- {<<: *base, name: two}\n")
    assert [(each.flow.name, each.flow.timeout) for each in found.flows] == [("one", 5.0), ("two", 5.0)]


def test_all_keys_are_merged_in_the_order_of_their_names_and_the_first_of_a_name_wins() -> None:
    found = read_texts(
        {
            "b.yaml": b"flows: [{name: one, entrypoint: second}]",
            "a.yml": b"name: one\nentrypoint: first\n",
            "c.yaml": b"",
            "readme.md": b"{",
            "..data": b"{",
        },
        YAML,
    )
    assert [(each.flow.name, each.flow.entrypoint, each.source) for each in found.flows] == [("one", "first", "a.yml")]
    assert [(each.name, each.source, each.reason) for each in found.problems] == [
        ("one", "b.yaml", "the name is taken by a.yml, line 1")
    ]


def test_text_that_is_not_yaml_is_reported_as_unreadable_with_its_line() -> None:
    found = read_texts({"bad.yaml": b"flows:\n- name: [\n", "good.yaml": b"name: f\nentrypoint: a\n"}, YAML)
    assert [each.flow.name for each in found.flows] == ["f"]
    assert found.unreadable == ("bad.yaml",)
    assert found.problems[0].source == "bad.yaml"
    assert found.problems[0].line == 3


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 5_000,
        "- " * 100_000,
        "a: &a [*a]",
        "a0: &a0 [x, x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)),
        "x" * (5 * 1024 * 1024),
        "a\n---\nb",
        "\x00",
    ],
    ids=["brackets", "braces", "dashes", "cycle", "laughs", "large", "two documents", "nul"],
)
def test_hostile_yaml_is_refused_before_it_costs_anything(text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text, YAML)


def test_text_that_is_not_utf8_is_unreadable() -> None:
    assert read_texts({"a.yaml": b"\xff\xfe"}, YAML).unreadable == ("a.yaml",)


def test_an_unreadable_source_keeps_what_it_said_last() -> None:
    entries = [("a.yaml", "kept"), ("a.yaml", "new"), ("b.yaml", "gone")]
    old = jsontext.dumps({"flows": [{"source": source, "flow": {"name": name}} for source, name in entries]})
    entries_kept, _ = kept_from(old, ["a.yaml"], ["new"], [])
    assert [jsontext.loads(text)["flow"]["name"] for text in entries_kept] == ["kept"]


def test_an_unreadable_source_keeps_its_sets() -> None:
    sets = [("a.yaml", "kept"), ("a.yaml", "new"), ("b.yaml", "gone")]
    document = {"flows": [], "sets": [{"name": name, "flows": ["f"], "source": source} for source, name in sets]}
    _, kept = kept_from(jsontext.dumps(document), ["a.yaml"], [], ["new"])
    assert [each["name"] for each in kept] == ["kept"]


def test_the_hash_tells_names_and_texts_apart_and_ignores_what_is_not_read() -> None:
    base = content_hash({"a.yaml": b"x", "b.yaml": b"y"})
    assert base == content_hash({"b.yaml": b"y", "a.yaml": b"x", "notes.txt": b"z"})
    assert len({base, content_hash({"a.yaml": b"xb.yamly"}), content_hash({"b.yaml": b"x", "a.yaml": b"y"})}) == 3
    assert not is_flows_key(".hidden.yaml")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
words = st.sampled_from(["name", "entrypoint", "mcp", "a2a", "timeout", "routeNext", "inputSchema", "scopes", "flows"])
flowish = st.recursive(json_values, lambda inner: st.dictionaries(words, inner, max_size=6), max_leaves=20)


@given(st.dictionaries(words, flowish, max_size=6) | st.lists(flowish, max_size=3))
def test_no_document_makes_reading_fail(document: object) -> None:
    flows, problems = read_flows({"flows": [document]}, "x")
    assert len(flows) + len(problems) >= 1
    assert all(problem.reason for problem in problems)


@given(st.text(max_size=200))
@settings(max_examples=300)
def test_no_text_makes_reading_fail(text: str) -> None:
    read_texts({"a.yaml": text.encode("utf-8", "surrogatepass")}, YAML)


names = st.text(string.ascii_lowercase, min_size=1, max_size=20)


TAGS = ["map", "seq", "str", "bool", "int", "float", "null", "timestamp", "set", "omap", "pairs", "binary", "merge"]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("value", ["", "x", '""', "[]", "{}", "[1]", "{a: 1}", "[[a, 1]]", "[{a: 1}]"])
@pytest.mark.parametrize(
    "entry", ["d: {0}", "mcp: {0}", "mcp: {{{0}: 1}}", "? {0}\n  : 1", "<<: {0}", "<<: [{0}]", "routeNext: [{0}]"]
)
def test_no_tag_makes_reading_fail_whatever_it_stands_before(tag: str, value: str, entry: str) -> None:
    entry = entry.format(f"!!{tag} {value}")
    found = read(f"flows:\n- name: a\n  entrypoint: a\n  {entry}\n- name: b\n  entrypoint: b\n")
    assert "b" in [each.flow.name for each in found.flows] or found.unreadable


@given(
    st.builds(
        lambda **fields: {key: value for key, value in fields.items() if value is not None},
        name=names,
        entrypoint=names,
        routeNext=st.lists(names, max_size=3) | st.none(),
        timeout=st.floats(0.001, 1e6) | st.integers(1, 10**6) | st.none(),
        mcp=st.just({}) | st.just({"inputSchema": {"type": "object", "default": None}, "progress": False}) | st.none(),
        a2a=st.just({}) | st.just({"tags": ["x"]}) | st.none(),
    )
)
def test_a_flow_survives_its_journey_to_the_pods(written: dict[str, object]) -> None:
    flow = flow_of(written)
    assert flow_of(flow.document()) == flow
    assert Flow.model_validate(flow.document()).document() == flow.document()

"""One entry of flows.yaml changes, every other byte stays."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from asya_cli.flows_editing import EditRefused, expose, find, hide, same
from asya_crds.flows_file import read_texts
from asya_crds.yaml_text import Yaml

TEXT = """\
# Flows of the vision team.
flows:
  # Loud.
  - name: shout      # keep me
    entrypoint: shout
    description: >
      Says it
      loudly.
    mcp: {}   # exposed to clients

  # Quiet, and the last one.
  - name: "whisper"
    entrypoint: whisper
    route_next: [x-pause, tail]
    mcp:
      inputSchema: {type: object}
# The end.
"""


def flows(data: dict[str, str]) -> dict[str, Any]:
    found = {}
    for text in data.values():
        document = yaml.safe_load(text) or {}
        for entry in document.get("flows", [document] if "entrypoint" in document else []) or []:
            found[entry["name"]] = entry
    return found


def test_a_new_flow_is_appended_and_not_one_line_of_the_rest_changes() -> None:
    after = expose({"flows.yaml": TEXT}, {"name": "new", "entrypoint": "new", "mcp": {}})["flows.yaml"]
    new = "  - name: new\n    entrypoint: new\n    mcp: {}\n"
    assert after == TEXT.replace("# The end.", f"{new}# The end.")


def test_of_an_existing_flow_only_the_named_fields_change_and_its_comments_stay() -> None:
    after = expose({"flows.yaml": TEXT}, {"name": "shout", "description": "Louder."})["flows.yaml"]
    assert "# keep me" in after
    assert "# exposed to clients" in after
    assert flows({"f": after})["shout"] == {
        "name": "shout", "entrypoint": "shout", "description": "Louder.", "mcp": {},
    }  # fmt: skip
    head, tail = TEXT.split("    description", 1)[0], TEXT[TEXT.index("\n  # Quiet") :]
    assert after.startswith(head)
    assert after.endswith(tail)


def test_a_field_keeps_the_spelling_that_the_entry_has() -> None:
    after = expose({"flows.yaml": TEXT}, {"name": "whisper", "routeNext": ["tail"]})["flows.yaml"]
    assert flows({"f": after})["whisper"]["route_next"] == ["tail"]
    assert "routeNext" not in after


def test_hiding_takes_out_the_lines_of_one_entry_alone() -> None:
    after = hide({"flows.yaml": TEXT}, "shout")["flows.yaml"]
    assert list(flows({"f": after})) == ["whisper"]
    assert "# Quiet, and the last one." in after
    assert "# Loud." in after, "a comment above an entry may speak of more than the entry"


def test_hiding_the_last_one_leaves_an_empty_list() -> None:
    after = hide(hide({"flows.yaml": TEXT}, "shout"), "whisper")["flows.yaml"]
    assert yaml.safe_load(after) == {"flows": []}
    assert "# Flows of the vision team." in after


def test_a_key_that_holds_one_bare_flow_goes_as_a_whole() -> None:
    data = {"shout.yaml": "name: shout\nentrypoint: shout\nmcp: {}\n", "flows.yaml": TEXT.replace("shout", "other")}
    assert "shout.yaml" not in hide(data, "shout")
    changed = expose(data, {"name": "shout", "description": "Loud."})
    assert flows(changed)["shout"]["description"] == "Loud."
    assert changed["flows.yaml"] == data["flows.yaml"]


@pytest.mark.parametrize(
    "empty", ["", "flows: []\n", "flows:\n", "flows: null\n", "# nothing yet\n", "flows: [] # none\n"]
)
def test_the_first_flow_goes_into_an_empty_file(empty: str) -> None:
    after = expose({"flows.yaml": empty}, {"name": "a", "entrypoint": "a", "mcp": {}})
    assert list(flows(after)) == ["a"]
    for comment in ("# nothing yet", "# none"):
        assert (comment in empty) == (comment in after["flows.yaml"])


def test_a_list_on_one_line_is_not_rewritten_behind_its_owners_back() -> None:
    with pytest.raises(EditRefused, match="one line"):
        expose({"flows.yaml": "flows: [{name: a, entrypoint: a}]\n"}, {"name": "b", "entrypoint": "b"})


def test_a_broken_text_is_named_and_left_alone() -> None:
    with pytest.raises(EditRefused, match=r"flows\.yaml cannot be read.*not YAML"):
        expose({"flows.yaml": "flows: [\n"}, {"name": "b", "entrypoint": "b"})


def test_a_flow_that_is_not_there_cannot_be_hidden() -> None:
    with pytest.raises(KeyError):
        hide({"flows.yaml": TEXT}, "nobody")


def read(data: dict[str, str]) -> dict[str, Any]:
    """The flows as every gateway reads them, by name."""
    found = read_texts({key: text.encode() for key, text in data.items()}, Yaml(yaml.CSafeLoader, yaml.YAMLError))
    assert not found.problems, found.problems
    return {each.flow.name: each.flow for each in found.flows}


LOOKS_LIKE_SOMETHING_ELSE = [
    "on", "off", "yes", "no", "y", "n", "Yes", "NO", "true", "null", "~", "", " ", "1:30", "190:20:30", "1_000", "0777",
    "0o17", "0x1f", "1e3", "1.5", ".5", "-1", "+1", ".inf", ".nan", "2024-01-01", "2024-01-01T00:00:00Z", "=", "<<",
    "- a", "a: b", "# c", "&a", "*a", "!a", "%a", "@a", "`a", "|", ">", "{a}", "[a]", "'a'", '"a"', "a #b",
    "two\nlines", "\ttab", "é 🙂", "\u2028", "\x85", "\ufeff", "\0", "trailing ", "a\r\nb", "---", "...", "x" * 300,
]  # fmt: skip
TEXTS_OF_ALL_KINDS = st.sampled_from(LOOKS_LIKE_SOMETHING_ELSE) | st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    TEXTS_OF_ALL_KINDS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXTS_OF_ALL_KINDS, each, max_size=3),
    max_leaves=8,
)
FILES = {
    "": "",
    "an empty list": "flows: []\n",
    "in braces": "{flows: []}\n",
    "in braces, over lines": "{\n  flows: []\n}\n",
    "JSON": '{"version": "1", "flows": []}',
    "an empty list on its own line": "flows:\n  []\n",
    "no list": "flows: # none yet\n",
    "null": "~\n",
    "a document's mark": "---\n",
    "an empty object": "{}\n",
    "a byte order mark": "\ufeffflows:\n- name: other\n  entrypoint: other\n",
    "a byte order mark and nothing": "\ufeff",
    "CRLF": "# mine\r\nflows:\r\n  - name: other # keep\r\n    entrypoint: other\r\n",
    "no end of the last line": "flows:\n- name: other\n  entrypoint: other",
    "a lone dash": "flows:\n-\n",
    "a lone dash before another": "flows:\n-\n- name: other\n  entrypoint: other\n",
    "entries in braces": "flows:\n- {name: other, entrypoint: other}   # keep\n",
    "dates that nobody quoted": "flows:\n- name: other\n  entrypoint: other\n  description: 2024-01-01\n",
    "a block of text at the end": "flows:\n- name: other\n  entrypoint: other\n  description: |\n    a\n\n# end\n",
}  # fmt: skip


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
@settings(deadline=None, max_examples=8)
@given(value=JSON)
def test_what_is_written_is_read_again_as_it_was_given_and_nothing_else_changes(text: str, value: Any) -> None:
    before = {"flows.yaml": text}
    entry = {"name": "on", "entrypoint": "no", "mcp": {"inputSchema": value}}
    after = expose(before, entry)
    place = find(after, "on")
    assert place is not None
    assert same(place.value, entry)
    again = expose(after, {"name": "on", "description": "off", "timeout": "2024-01-01"})
    place = find(again, "on")
    assert place is not None
    assert same(place.value, entry | {"description": "off", "timeout": "2024-01-01"})
    kept = [
        line
        for line in splitted(text)
        if line.strip() and "[]" not in line and line not in ("~", "---", "{}", "{", "}")
    ]
    assert [line for line in kept if line not in splitted(again["flows.yaml"])] == []
    assert ("\r\n" in text) == ("\r\n" in again["flows.yaml"].replace("\\r\\n", ""))
    assert again["flows.yaml"].startswith("\ufeff") == text.startswith("\ufeff")
    if "other" in text:
        assert same(find(hide(again, "on"), "other").value, find(before, "other").value)  # type: ignore[union-attr]


def splitted(text: str) -> list[str]:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")


@pytest.mark.parametrize(
    "name", ["on", "off", "yes", "no", "null", "1", "1e3", "1_000", "12.5", "0x1f", "2024-01-01", "y"]
)
def test_a_flow_may_have_any_name_and_words_that_yaml_takes_for_something_else(name: str) -> None:
    schema = {
        "type": "object",
        "properties": {"on": {"enum": ["on", "off", "1:30", "2024-01-01"], "description": "no"}},
    }
    flow = {
        "name": name,
        "entrypoint": "no",
        "routeNext": ["off"],
        "description": "off",
        "mcp": {"inputSchema": schema},
    }
    data = expose({"flows.yaml": TEXT}, flow)
    served = read(data)[name]
    assert (served.entrypoint, served.route_next, served.description) == ("no", ["off"], "off")
    assert served.mcp is not None
    assert served.mcp.input_schema == schema
    assert hide(data, name) == {"flows.yaml": TEXT}
    assert read(expose(data, {"name": name, "description": "1:30"}))[name].description == "1:30"


def test_a_number_is_not_taken_for_a_truth_value_that_equals_it() -> None:
    data = expose({}, {"name": "a", "entrypoint": "a", "mcp": {"inputSchema": {"const": 1}}})
    data = expose(data, {"name": "a", "mcp": {"inputSchema": {"const": True}}})
    assert yaml.safe_load(data["flows.yaml"])["flows"][0]["mcp"]["inputSchema"]["const"] is True


def test_a_comment_behind_a_value_stays_when_the_value_changes() -> None:
    data = {"flows.yaml": "flows:\n- name: a\n  entrypoint: a\n  timeout: 5m   # long enough\n  # more\n  mcp: {}\n"}
    after = expose(data, {"name": "a", "timeout": "10m"})["flows.yaml"]
    assert after == data["flows.yaml"].replace("5m", "10m")


def test_of_two_entries_of_one_name_the_one_that_is_served_is_edited() -> None:
    data = {"flows.yaml": "flows:\n- name: a\n  entrypoint: x\n- name: a\n  entrypoint: y\n"}
    after = expose(data, {"name": "a", "entrypoint": "z"})["flows.yaml"]
    assert after == data["flows.yaml"].replace("entrypoint: x", "entrypoint: z")


@pytest.mark.parametrize("properties", ["&all", "!!seq", "&all !!seq", "&all # mine", "# mine"])
@pytest.mark.parametrize("indented", ["", "  "])
def test_a_list_with_an_anchor_or_a_tag_is_edited_as_any_other(properties: str, indented: str) -> None:
    text = f"flows: {properties}\n{indented}- name: a\n{indented}  entrypoint: a\n"
    data = expose({"flows.yaml": text}, {"name": "b", "entrypoint": "b"})
    assert data["flows.yaml"] == text + f"{indented}- name: b\n{indented}  entrypoint: b\n"
    assert set(read(data)) == {"a", "b"}
    empty = hide(hide(data, "a"), "b")
    kept, separator, comment = f"flows: {properties}".partition(" #")
    assert empty["flows.yaml"] == f"{kept} []{separator}{comment}\n"
    assert set(read(expose(empty, {"name": "c", "entrypoint": "c"}))) == {"c"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a\n", "expected `flows:` with a list"),
        ("-", "expected `flows:` with a list"),
        ("text\n", "expected `flows:` with a list"),
        ("flows: {a: 1}\n", "flows: expected a list"),
        ("flows: text\n", "flows: expected a list"),
        ("flows: []\n---\nflows: []\n", "cannot be read"),
        ("flows: [\x1b]\n", "cannot be read"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_the_true_reason(text: str, reason: str) -> None:
    with pytest.raises(EditRefused) as refused:
        expose({"flows.yaml": text}, {"name": "b", "entrypoint": "b"})
    assert reason in str(refused.value)


def test_an_entry_that_an_edit_would_break_is_refused_without_blaming_the_text() -> None:
    with pytest.raises(EditRefused, match=r"a cannot be written .*the text would not be YAML") as refused:
        expose({"flows.yaml": "flows:\n- ? name\n  : a\n  ? entrypoint\n  : x\n"}, {"name": "a", "description": "d"})
    assert "fix it first" not in str(refused.value)


@pytest.mark.parametrize("value", ["\ud83d", float("nan"), float("inf")])
def test_what_no_yaml_can_say_is_refused_before_it_is_sent(value: Any) -> None:
    with pytest.raises(EditRefused, match=r"b (cannot be written|would be read differently)"):
        expose({"flows.yaml": TEXT}, {"name": "b", "entrypoint": "b", "description": value})


NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30),
    st.lists(st.sampled_from(["x", "y"]), max_size=3),
    st.dictionaries(st.sampled_from(["k", "l"]), st.integers() | st.booleans(), max_size=2),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), NAMES, VALUES), max_size=12))
def test_any_sequence_of_edits_leaves_exactly_the_flows_that_it_should(
    edits: list[tuple[bool, str, Any]],
) -> None:
    data = {"flows.yaml": "# mine\nflows: []\n"}
    expected: dict[str, Any] = {}
    for show, name, value in edits:
        if show:
            entry = {"name": name, "entrypoint": name, "description": value}
            data = expose(data, entry)
            expected[name] = {**expected.get(name, {}), **entry}
        elif name in expected:
            data = hide(data, name)
            del expected[name]
        assert flows(data) == expected
        assert data["flows.yaml"].startswith("# mine\n")
        assert all((find(data, each) is not None) == (each in expected) for each in "abcd")


@pytest.mark.parametrize(
    "text",
    [
        '{"flows":[{"name":"a","entrypoint":"a"},{"name":"b","entrypoint":"b"}]}\n',
        "flows: [{name: a, entrypoint: a}, {name: b, entrypoint: b}]\n",
        "flows:\n- &base {name: a, entrypoint: a, mcp: &m {}}\n- {<<: *base, name: b}\n",
        "flows:\n- {name: b, entrypoint: b, mcp: &m {}}\n- {name: a, entrypoint: a, mcp: *m}\n",
    ],
)
@pytest.mark.parametrize("edit", [lambda d: hide(d, "a"), lambda d: expose(d, {"name": "a", "timeout": "5m"})])
def test_an_edit_that_would_harm_another_flow_is_refused(text: str, edit: Any) -> None:
    data = {"flows.yaml": text}
    try:
        after = edit(data)
    except EditRefused:
        return
    assert flows(after)["b"] == flows(data)["b"]

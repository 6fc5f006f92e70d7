"""One entry of flows.yaml changes, every other byte stays."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from asya_cli.flows_editing import EditRefused, expose, find, hide

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
    with pytest.raises(EditRefused, match=r"flows\.yaml is no YAML"):
        expose({"flows.yaml": "flows: [\n"}, {"name": "b", "entrypoint": "b"})


def test_a_flow_that_is_not_there_cannot_be_hidden() -> None:
    with pytest.raises(KeyError):
        hide({"flows.yaml": TEXT}, "nobody")


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

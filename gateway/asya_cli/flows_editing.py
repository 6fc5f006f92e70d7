"""Edits of flows.yaml as text: one entry changes, every other byte stays (pure).

The ConfigMap's text has many authors, so comments, order and formatting of other entries must stay unchanged. An
entry's lines are located by YAML's marks and replaced. Then the whole text is read again, like the gateway reads it,
before it is sent: it must contain the requested change, and every other entry must be unchanged.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from asya_cli import yaml_splicing as splicing
from asya_crds.contract import camel
from asya_crds.flows_file import is_flows_key
from asya_crds.yaml_text import Unreadable, Yaml, parse

DEFAULT_KEY = "flows.yaml"
ONE_LINE = "`flows: [...]` is on one line; rewrite it as a list with dashes first"


class EditRefused(Exception):
    """The text cannot be edited safely. The message says what to do by hand."""


class TextUnreadable(EditRefused):
    """A key cannot be read as YAML; `why` says why, with the line."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key} cannot be read, fix it first: {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class EntryLocation:
    """The location of an entry: the key, its node, and the list around it (None if the key contains only this flow).
    `value` is the entry as the gateway reads it."""

    key: str
    node: Any
    around: Any
    value: dict[str, Any]


def expose(data: Mapping[str, str], flow: Mapping[str, Any]) -> dict[str, str]:
    """The ConfigMap's data with this flow: the fields in `flow` are set, other fields of an existing entry stay. `flow`
    needs `name`. Raises EditRefused if a key is not YAML, or is written in a form that must not be rewritten."""
    name = str(flow["name"])
    place = find(data, name)
    if place is None:
        key, expected = _key_for_new(data), dict(flow)
        text = _appended(data.get(key, ""), expected, key)
    else:
        key = place.key
        changed = {_spelled(place.value, field): value for field, value in flow.items()}
        expected = {**place.value, **changed}
        fields = {field: value for field, value in changed.items() if not same(value, place.value.get(field, ...))}
        text = _changed(data[key], place, fields)
    return _checked(data, {**data, key: text}, name, key, [expected])


def hide(data: Mapping[str, str], name: str) -> dict[str, str]:
    """The data without this flow. Raises KeyError if there is none, EditRefused like expose."""
    place = find(data, name)
    if place is None:
        raise KeyError(name)
    if place.around is None:
        return {key: text for key, text in data.items() if key != place.key}
    _dashed(place)
    mark, plain = _without_mark(data[place.key])
    lines = splicing.split_lines(plain)
    text = "".join(lines[: place.node.start_mark.line] + lines[splicing.last_line(place.node) + 1 :])
    if len(place.around.value) == 1:
        text = _with_empty_list(text, place.key)
    return _checked(data, {**data, place.key: mark + text}, name, place.key, [])


def find(data: Mapping[str, str], name: str) -> EntryLocation | None:
    """The entry with this name, in any key."""
    for key in sorted(filter(is_flows_key, data)):
        for place in _places(key, data[key]):
            if place.value.get("name") == name:
                return place
    return None


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 is neither true nor 1.0."""
    return one is other or (... not in (one, other) and _canonical(one) == _canonical(other))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _checked(
    before: Mapping[str, str], after: dict[str, str], name: str, key: str, expected: list[dict[str, Any]]
) -> dict[str, str]:
    """`after`, if it is correct: the flow is as requested (or gone), and every other flow is unchanged. This is checked
    because a text edit does not see anchors and aliases."""
    try:
        left, own = _others(after, name)
    except TextUnreadable as error:
        reason = f"{name} cannot be written where and as it is written now: the text would not be YAML ({error.why})"
        raise EditRefused(f"{key}: {reason}; edit it by hand") from None
    others, former = _others(before, name)
    if left != others:
        raise EditRefused(f"{key}: other flows depend on how {name} is written (anchors, aliases); edit it by hand")
    # A second entry with the same name is not served and must not be changed.
    if own != [*map(_canonical, expected), *former[1:]]:
        raise EditRefused(f"{key}: the edited {name} would be read differently from the request; edit it by hand")
    return after


def _others(data: Mapping[str, str], name: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The content of every other entry, and of the entries with this name."""
    others, own = [], []
    for key in sorted(filter(is_flows_key, data)):
        for place in _places(key, data[key]):
            if place.value.get("name") == name:
                own.append(_canonical(place.value))
            else:
                others.append((key, _canonical(place.value)))
    return others, own


def _dashed(place: EntryLocation) -> None:
    if place.around is not None and place.around.flow_style:
        raise EditRefused(f"{place.key}: {ONE_LINE}")


def _places(key: str, text: str) -> list[EntryLocation]:
    _, text = _without_mark(text)
    node = _compose(text, key)
    if not isinstance(node, yaml.MappingNode):
        return []
    value = _read(text, key)
    flows = splicing.child(node, "flows")
    if flows is None:
        return [EntryLocation(key, node, None, value)] if node.value else []
    if not isinstance(flows, yaml.SequenceNode):
        return []
    return [
        EntryLocation(key, item, flows, entry if isinstance(entry, dict) else {})
        for item, entry in zip(flows.value, value["flows"], strict=True)
    ]


def _key_for_new(data: Mapping[str, str]) -> str:
    """flows.yaml if it exists or there is no key; else the first key with a list."""
    if DEFAULT_KEY in data or not data:
        return DEFAULT_KEY
    lists = [key for key in sorted(filter(is_flows_key, data)) if _has_list(data[key], key)]
    return lists[0] if lists else DEFAULT_KEY


def _has_list(text: str, key: str) -> bool:
    return splicing.child(_compose(_without_mark(text)[1], key), "flows") is not None


def _changed(text: str, place: EntryLocation, fields: Mapping[str, Any]) -> str:
    if not fields:
        return text
    _dashed(place)
    mark, text = _without_mark(text)
    if not place.node.flow_style:
        return mark + splicing.with_fields(text, place.node, fields)
    return mark + splicing.replaced(text, place.node, {**place.value, **fields})


def _spelled(entry: Mapping[str, Any], field: str) -> str:
    """The spelling of the field that the entry already uses (`routeNext` or `route_next`)."""
    if field in entry:
        return field
    return next((name for name in entry if camel(name) == camel(field)), field)


def _appended(text: str, flow: Mapping[str, Any], key: str) -> str:
    mark, text = _without_mark(text)
    node = _compose(text, key)
    if node is None or (_is_null(node) and not node.value):
        return mark + splicing.appended(text, len(splicing.split_lines(text)), {"flows": [flow]}, 0)
    if _is_null(node):
        return mark + splicing.replaced(text, node, {"flows": [flow]})
    if not isinstance(node, yaml.MappingNode):
        raise EditRefused(f"{key}: expected `flows:` with a list")
    found = splicing.pair(node, "flows")
    if found is None:
        if node.value:
            raise EditRefused(f"{key} contains a single flow; put the new one under another key")
        return mark + splicing.replaced(text, node, {"flows": [flow]})
    flows = found[1]
    if isinstance(flows, yaml.SequenceNode) and flows.value:
        if flows.flow_style:
            raise EditRefused(f"{key}: {ONE_LINE}")
        at = splicing.last_line(flows.value[-1]) + 1
        return mark + splicing.appended(text, at, [flow], splicing.column_of_dashes(text, flows))
    if not isinstance(flows, yaml.SequenceNode) and not _is_null(flows):
        raise EditRefused(f"{key}: flows: expected a list")
    if node.flow_style:
        return mark + splicing.replaced(text, node, {**_read(text, key), "flows": [flow]})
    return mark + splicing.with_fields(text, node, {"flows": [flow]})


def _with_empty_list(text: str, key: str) -> str:
    """After the last entry is removed, `flows:` is null: write the empty list instead."""
    node = _compose(text, key)
    found = splicing.pair(node, "flows")
    if found is None or not splicing.is_left_out(found[1]):
        return text
    lines, end = splicing.split_lines(text), found[1].end_mark
    # An anchor or a tag of the list stays before it.
    lines[end.line] = f"{lines[end.line][: end.column]} []{lines[end.line][end.column :]}"
    return "".join(lines)


def _is_null(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _without_mark(text: str) -> tuple[str, str]:
    """The byte order mark, if there is one, and the text after it."""
    found = text.startswith(splicing.BYTE_ORDER_MARK)
    return (splicing.BYTE_ORDER_MARK, text[1:]) if found else ("", text)


def _read(text: str, key: str) -> Any:
    """The document as the gateway reads it."""
    try:
        return parse(text, Yaml(splicing.LOADER, yaml.YAMLError)).value
    except Unreadable as error:
        where = f" (line {error.line})" if error.line else ""
        raise TextUnreadable(key, f"{error.reason}{where}") from None


def _compose(text: str, key: str) -> Any:
    _read(text, key)
    try:
        return splicing.compose(text)
    except yaml.YAMLError as error:
        raise TextUnreadable(key, f"not YAML: {error}") from None

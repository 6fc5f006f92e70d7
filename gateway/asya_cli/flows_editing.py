"""Edits of flows.yaml as text: one entry changes, every other byte stays (pure).

The ConfigMap's text belongs to many people: comments, order and spelling of what is not touched are theirs. So an
entry's lines are found by YAML's own marks and spliced; ruamel.yaml only rewrites the entry itself.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

DEFAULT_KEY = "flows.yaml"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class EditRefused(Exception):
    """The text cannot be edited safely; the message says what to do by hand."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands: lines [first, last] of a key; `bare` where the key holds this one flow alone."""

    key: str
    first: int
    last: int
    dash: int
    bare: bool
    value: dict[str, Any]


def expose(data: Mapping[str, str], flow: Mapping[str, Any]) -> dict[str, str]:
    """The ConfigMap's data with this flow in it: fields that `flow` names are set, others of an entry of that name
    stay. `flow` needs `name`. Raises EditRefused where a key is no YAML or is written in a way that must not be
    rewritten."""
    name = str(flow["name"])
    place = find(data, name)
    if place is not None:
        return _harming_nobody(data, {**data, place.key: _replace(data[place.key], place, flow)}, name, place.key)
    key = _key_for_new(data)
    return _harming_nobody(data, {**data, key: _append(data.get(key, ""), flow, key)}, name, key)


def hide(data: Mapping[str, str], name: str) -> dict[str, str]:
    """The data without this flow. Raises KeyError where there is none, EditRefused as expose does."""
    place = find(data, name)
    if place is None:
        raise KeyError(name)
    if place.bare:
        return {key: text for key, text in data.items() if key != place.key}
    _dashed(place)
    lines = data[place.key].splitlines(keepends=True)
    text = "".join(lines[: place.first] + lines[place.last + 1 :])
    node = _compose(text, place.key)
    flows = _child(node, "flows") if node is not None else None
    if flows is not None and isinstance(flows, yaml.ScalarNode):
        text = _with_empty_list(text, node)
    return _harming_nobody(data, {**data, place.key: text}, name, place.key)


def _harming_nobody(before: Mapping[str, str], after: dict[str, str], name: str, key: str) -> dict[str, str]:
    """`after`, where every other flow still says what it said: an edit of text cannot see anchors and aliases."""
    try:
        if _others(before, name) == _others(after, name):
            return after
    except (EditRefused, yaml.YAMLError):
        pass
    raise EditRefused(f"{key}: other flows depend on how {name} is written (anchors, aliases); edit it by hand")


def _others(data: Mapping[str, str], name: str) -> list[tuple[str, dict[str, Any]]]:
    keys = [key for key in sorted(data) if key.endswith((".yaml", ".yml"))]
    return [(key, place.value) for key in keys for place in _places(key, data[key]) if place.value.get("name") != name]


def _dashed(place: Place) -> None:
    if place.dash < 0:
        raise EditRefused(f"{place.key}: `flows: [...]` is written on one line; write it as a list with dashes first")


def find(data: Mapping[str, str], name: str) -> Place | None:
    """The entry of this name, in whichever key it stands."""
    for key in sorted(data):
        if not key.endswith((".yaml", ".yml")):
            continue
        for place in _places(key, data[key]):
            if place.value.get("name") == name:
                return place
    return None


def _places(key: str, text: str) -> list[Place]:
    node = _compose(text, key)
    if not isinstance(node, yaml.MappingNode):
        return []
    flows = _child(node, "flows")
    if flows is None:
        value = yaml.load(text, Loader=LOADER)  # noqa: S506  (a safe loader, in C)
        return [Place(key, node.start_mark.line, _last_line(node), 0, True, value)]
    if not isinstance(flows, yaml.SequenceNode) or not flows.value:
        return []
    values = yaml.load(text, Loader=LOADER)["flows"]  # noqa: S506
    dash = flows.start_mark.column
    if flows.flow_style:
        dash = -1
    return [
        Place(key, item.start_mark.line, _last_line(item), dash, False, value if isinstance(value, dict) else {})
        for item, value in zip(flows.value, values, strict=True)
    ]


def _key_for_new(data: Mapping[str, str]) -> str:
    """flows.yaml where it is there or nothing is; else the first key that holds a list."""
    if DEFAULT_KEY in data or not data:
        return DEFAULT_KEY
    lists = [key for key, text in sorted(data.items()) if key.endswith((".yaml", ".yml")) and _has_list(text, key)]
    return lists[0] if lists else DEFAULT_KEY


def _has_list(text: str, key: str) -> bool:
    node = _compose(text, key)
    return isinstance(node, yaml.MappingNode) and _child(node, "flows") is not None


def _replace(text: str, place: Place, flow: Mapping[str, Any]) -> str:
    lines = text.splitlines(keepends=True)
    _dashed(place)
    own = "".join(line[place.dash :] if line.strip() else line for line in lines[place.first : place.last + 1])
    rt = _round_trip()
    try:
        document = rt.load(own)
    except YAMLError as error:
        raise EditRefused(f"{place.key}: {flow['name']} depends on its neighbours ({error}); edit it by hand") from None
    entry = document if place.bare else document[0]
    for field, value in flow.items():
        entry[_spelled(entry, field)] = value
    return "".join(lines[: place.first]) + _dumped(document, place.dash) + "".join(lines[place.last + 1 :])


def _spelled(entry: Mapping[str, Any], field: str) -> str:
    """The spelling of the field that the entry uses already (`routeNext` or `route_next`)."""
    other = {"routeNext": "route_next", "route_next": "routeNext"}.get(field, field)
    return other if other in entry and field not in entry else field


def _append(text: str, flow: Mapping[str, Any], key: str) -> str:
    node = _compose(text, key)
    if node is None:
        head = text if not text or text.endswith("\n") else text + "\n"
        return head + "flows:\n" + _dumped([dict(flow)], 0)
    if not isinstance(node, yaml.MappingNode):
        raise EditRefused(f"{key}: expected `flows:` with a list")
    flows = _child(node, "flows")
    if flows is None:
        raise EditRefused(f"{key} holds one flow by itself; put the new one under another key")
    if isinstance(flows, yaml.SequenceNode) and flows.value:
        if flows.flow_style:
            raise EditRefused(f"{key}: `flows: [...]` is written on one line; write it as a list with dashes first")
        lines = text.splitlines(keepends=True)
        at = _last_line(flows.value[-1]) + 1
        if lines[at - 1 : at] and not lines[at - 1].endswith("\n"):
            lines[at - 1] += "\n"
        new = _dumped([dict(flow)], flows.start_mark.column)
        return "".join(lines[:at]) + new + "".join(lines[at:])
    return _fill_empty_list(text, node, flow)


def _fill_empty_list(text: str, node: Any, flow: Mapping[str, Any]) -> str:
    """`flows: []`, `flows:` or `flows: null`: the value is replaced by a list with dashes."""
    key_node, value = next((k, v) for k, v in node.value if k.value == "flows")
    lines = text.splitlines(keepends=True)
    at = key_node.end_mark.line
    line = lines[at]
    rest = line[value.end_mark.column :] if value.end_mark.line == at else "\n"
    if value.start_mark.line == value.end_mark.line == at and not rest.strip():
        rest = "\n"
    lines[at] = line[: key_node.end_mark.column] + ":" + (rest if rest.endswith("\n") else rest + "\n")
    return "".join(lines[: at + 1]) + _dumped([dict(flow)], key_node.start_mark.column) + "".join(lines[at + 1 :])


def _with_empty_list(text: str, node: Any) -> str:
    """After the last entry went, `flows:` says nothing: write the empty list that it means."""
    key_node = next(k for k, _ in node.value if k.value == "flows")
    lines = text.splitlines(keepends=True)
    line = lines[key_node.end_mark.line]
    colon = line.index(":", key_node.end_mark.column) + 1
    lines[key_node.end_mark.line] = f"{line[:colon]} []{line[colon:]}"
    return "".join(lines)


def _dumped(document: Any, indent: int) -> str:
    stream = io.StringIO()
    _round_trip().dump(document, stream)
    pad = " " * indent
    return "".join(pad + line if line.strip() else line for line in stream.getvalue().splitlines(keepends=True))


def _round_trip() -> YAML:
    rt = YAML(typ="rt")
    rt.preserve_quotes = True
    rt.width = 10_000
    rt.allow_unicode = True
    return rt


def _compose(text: str, key: str) -> Any:
    try:
        return yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as error:
        raise EditRefused(f"{key} is no YAML, mend it first: {error}") from None


def _child(node: Any, name: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == name:
                return value
    return None


def _last_line(node: Any) -> int:
    """The last line with content of a node: comments that follow belong to what comes next."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return max(_last_line(part) for pair in node.value for part in pair)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return max(_last_line(part) for part in node.value)
    line, column = int(node.end_mark.line), int(node.end_mark.column)
    return line - 1 if column == 0 and line > node.start_mark.line else line

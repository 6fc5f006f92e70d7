"""How often one value may be checked against subschemas. This bounds the time that a check can take.

Two references to one definition inside an anyOf, twenty definitions deep, cause a million evaluations of a single
string. The count here is for the worst value: the evaluations of one place in it, maximised over the places.
"""

import re
from collections.abc import Callable
from typing import Any

from asya_crds.schema_references import REFERENCES, References
from asya_crds.schema_walk import SAME_VALUE, SAME_VALUE_MAPS, SAME_VALUE_ONE, Schema

MAX_EVALUATIONS = 256
_TOO_MANY = float("inf")
MAX_STEPS = 100_000
"""Most subschemas that are visited to find cycles. A schema that needs more is refused, because counting further could
take a minute."""


_MULTIPLYING = re.compile(
    r'"(?:\$ref|\$dynamicRef|allOf|anyOf|oneOf|not|if|then|else|dependentSchemas|patternProperties|propertyNames'
    r'|contains|unevaluatedProperties|unevaluatedItems)"'
)


def evaluations(schema: Schema, text: str) -> float:
    """Most evaluations of a single place. Infinity for a reference that leads back to its own value, and for branching
    recursion, whose cost doubles with each level of the value.

    `text` is the schema's JSON. Most schemas contain no keyword that multiplies evaluations and need no counting.
    """
    return _Count(schema).worst(schema) if _MULTIPLYING.search(text) else 1


class _Count:
    def __init__(self, root: Schema) -> None:
        self._references = References(root)
        self._closures: dict[int, list[Schema] | None] = {}
        self._worst: dict[int, float] = {}
        self._open: set[int] = set()
        self._steps = 0

    def worst(self, schema: Schema) -> float:
        """Most evaluations that this subschema causes at one place of the value."""
        key = id(schema)
        if key in self._worst:
            return self._worst[key]
        if key in self._open:
            return 1
        closure = self._closure(schema)
        if closure is None:
            return _TOO_MANY
        self._open.add(key)
        counts = [float(len(closure))]
        for children in _groups(closure):
            # If two of them lead back here, the cost doubles with each level of the value.
            if len(children) > 1 and sum(self._leads_back(child, key) for child in children) > 1:
                counts.append(_TOO_MANY)
            counts.append(sum(self.worst(child) for child in children))
        self._open.discard(key)
        self._worst[key] = max(counts)
        return self._worst[key]

    def _leads_back(self, schema: Schema, target: int) -> bool:
        """Whether a value inside this one may reach the target again."""
        seen: set[int] = set()
        waiting = [schema]
        while waiting:
            each = waiting.pop()
            if id(each) in seen:
                continue
            seen.add(id(each))
            self._steps += 1
            if self._steps > MAX_STEPS:
                return True
            closure = self._closure(each)
            if closure is None:
                return True
            if any(id(part) == target for part in closure):
                return True
            waiting.extend(child for children in _groups(closure) for child in children)
        return False

    def _closure(self, schema: Schema) -> list[Schema] | None:
        """Every subschema for the same value, one entry for each way to reach it; None if there are too many."""
        key = id(schema)
        if key not in self._closures:
            self._closures[key] = None
            self._closures[key] = self._expand(schema)
        return self._closures[key]

    def _expand(self, schema: Schema) -> list[Schema] | None:
        found = [schema]
        for part in self._same_value(schema):
            inner = self._closure(part)
            if inner is None:
                return None
            found.extend(inner)
            if len(found) > MAX_EVALUATIONS:
                return None
        return found

    def _same_value(self, schema: Schema) -> list[Schema]:
        parts: list[Any] = [schema[word] for word in SAME_VALUE_ONE if word in schema]
        for word in SAME_VALUE:
            parts.extend(_list(schema, word))
        for word in SAME_VALUE_MAPS:
            parts.extend(_map(schema, word).values())
        for word in REFERENCES:
            if isinstance(reference := schema.get(word), str):
                parts.extend(self._references.targets(reference))
        return [part for part in parts if isinstance(part, dict)]


def _groups(closure: list[Schema]) -> list[list[Schema]]:
    """Subschemas that may apply to one child of the value, for each child that the schema distinguishes."""
    keys = {key for schema in closure for key in _map(schema, "properties")}
    indexes = range(max((len(_list(schema, "prefixItems")) for schema in closure), default=0))
    members = [_each(closure, _of_member, key) for key in (*keys, None)]
    items = [_each(closure, _of_item, index) for index in (*indexes, None)]
    names = [_each(closure, lambda schema, _: [schema.get("propertyNames")], None)]
    return [group for group in (*members, *items, *names) if group]


def _each(closure: list[Schema], choose: Callable[[Schema, Any], list[Any]], label: Any) -> list[Schema]:
    return [part for schema in closure for part in choose(schema, label) if isinstance(part, dict)]


def _of_member(schema: Schema, key: str | None) -> list[Any]:
    """The subschemas for a member with this name; None stands for a member that `properties` does not name."""
    patterns = [*_map(schema, "patternProperties").values()]
    if key is not None and key in _map(schema, "properties"):
        return [schema["properties"][key], *patterns]
    return [*patterns, schema.get("additionalProperties"), schema.get("unevaluatedProperties")]


def _of_item(schema: Schema, index: int | None) -> list[Any]:
    prefix = _list(schema, "prefixItems")
    own = prefix[index] if index is not None and index < len(prefix) else schema.get("items")
    return [own, schema.get("contains"), schema.get("unevaluatedItems")]


def _map(schema: Schema, word: str) -> dict[str, Any]:
    found = schema.get(word)
    return found if isinstance(found, dict) else {}


def _list(schema: Schema, word: str) -> list[Any]:
    found = schema.get(word)
    return found if isinstance(found, list) else []

"""Which JSON types a schema allows for a key: through references, `allOf`, `anyOf`, `oneOf`, `enum` and `const`.

Only as far as the command line needs it to interpret an argument. The gateway checks the value against the whole
schema.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from asya_crds import jsontext
from asya_crds.schema_references import REFERENCES, References

EVERY = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
"""An integer is also a number, so `number` never occurs here without `integer`."""
DEEPEST = 32
"""Depth to which references and combinations are followed. Deeper parts of a schema are treated as allowing
everything."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The allowed types, and the allowed values if they are restricted (`enum`, `const`); None if they are not."""

    types: frozenset[str] = EVERY
    values: tuple[Any, ...] | None = None
    items: "Kinds | None" = None
    """The types of the items, if an array is allowed and its schema defines them."""

    def and_(self, other: "Kinds") -> "Kinds":
        """The types that both allow."""
        if self.values is None or other.values is None:
            values = self.values if other.values is None else other.values
        else:
            values = tuple(value for value in self.values if contains(other.values, value))
        return Kinds(self.types & other.types, values, self.items or other.items)

    def or_(self, other: "Kinds") -> "Kinds":
        """The types that one of them allows. Values beside a type without values are kept, because they show how an
        argument is meant."""
        both = {jsontext.canonical(value): value for value in (*(self.values or ()), *(other.values or ()))}
        return Kinds(self.types | other.types, tuple(both.values()) or None, self.items or other.items)

    @property
    def names(self) -> tuple[str, ...]:
        """The types in their usual order, without `integer` if there is `number`; () if all are allowed."""
        if self.types == EVERY:
            return ()
        order = ("string", "integer", "number", "boolean", "array", "object", "null")
        hidden = {"integer"} if "number" in self.types else set[str]()
        return tuple(name for name in order if name in self.types - hidden)


def contains(values: tuple[Any, ...], value: Any) -> bool:
    """Whether JSON's equality finds the value: 1 is not true."""
    return any(each == value and isinstance(each, bool) == isinstance(value, bool) for each in values)


def kinds_of(schema: Mapping[str, Any], key: str) -> Kinds:
    """The types that an object's schema allows for a property."""
    reader = _Reader(schema)
    return reduce(Kinds.and_, [reader.kinds(part, DEEPEST) for part in _parts(schema, key)], Kinds())


def properties_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Every property in an object's schema, including its parts, with its schema."""
    found: dict[str, Any] = {}
    for part in _flattened(schema):
        properties = part.get("properties")
        for key, value in (properties if isinstance(properties, Mapping) else {}).items():
            found.setdefault(key, value)
    return found


def _parts(schema: Mapping[str, Any], key: str) -> Iterator[Any]:
    for part in _flattened(schema):
        named = False
        properties, patterns = part.get("properties"), part.get("patternProperties")
        if isinstance(properties, Mapping) and key in properties:
            named = True
            yield properties[key]
        for pattern, value in (patterns if isinstance(patterns, Mapping) else {}).items():
            if _matches(pattern, key):
                named = True
                yield value
        if not named and isinstance(part.get("additionalProperties"), Mapping):
            yield part["additionalProperties"]


def _matches(pattern: str, key: str) -> bool:
    try:
        return re.search(pattern, key) is not None
    except (re.error, RecursionError):
        return False


def _flattened(root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema and those that apply together with it, each once."""
    references, seen = References(root), set[int]()
    waiting: list[Any] = [root]
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, Mapping) or id(schema) in seen:
            continue
        seen.add(id(schema))
        yield schema
        referred = [_resolved(schema[word], references) for word in REFERENCES if word in schema]
        waiting += [*reversed(_list(schema, "allOf")), *referred]


class _Reader:
    """Reads the schemas of one document, each once at each depth, because parts that refer to each other can be reached
    in very many ways."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._references = References(root)
        self._known: dict[tuple[int, int], Kinds] = {}

    def kinds(self, schema: Any, depth: int) -> Kinds:
        """The types that a schema allows."""
        if schema is False:
            return Kinds(frozenset())
        if not isinstance(schema, Mapping) or depth == 0:
            return Kinds()
        key = (id(schema), depth)
        if key not in self._known:
            self._known[key] = self._read(schema, depth - 1)
        return self._known[key]

    def _read(self, schema: Mapping[str, Any], depth: int) -> Kinds:
        items = self.kinds(schema["items"], depth) if "items" in schema else None
        found = Kinds(_declared(schema.get("type")), items=items)
        for values in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
            if isinstance(values, list):
                types = frozenset[str]().union(*(_types_of_value(value) for value in values))
                found = found.and_(Kinds(types, tuple(values)))
        for word in REFERENCES:
            if word in schema:
                found = found.and_(self.kinds(_resolved(schema[word], self._references), depth))
        for part in _list(schema, "allOf"):
            found = found.and_(self.kinds(part, depth))
        for word in ("anyOf", "oneOf"):
            if options := _list(schema, word):
                found = found.and_(reduce(Kinds.or_, (self.kinds(option, depth) for option in options)))
        return found


def _declared(types: Any) -> frozenset[str]:
    listed = [types] if isinstance(types, str) else types if isinstance(types, list) else EVERY
    names = {each for each in listed if isinstance(each, str)}
    return frozenset({*names, "integer"} if "number" in names else names)


def _types_of_value(value: Any) -> frozenset[str]:
    match value:
        case None:
            return frozenset({"null"})
        case bool():
            return frozenset({"boolean"})
        case int() | float():
            return frozenset({"number", "integer"})
        case str():
            return frozenset({"string"})
        case list():
            return frozenset({"array"})
        case _:
            return frozenset({"object"})


def _list(schema: Mapping[str, Any], word: str) -> list[Any]:
    found = schema.get(word)
    return found if isinstance(found, list) else []


def _resolved(reference: Any, references: References) -> Any:
    """The only target in this document; True, which allows everything, if there is another number of them."""
    targets = references.targets(reference) if isinstance(reference, str) else []
    return targets[0] if len(targets) == 1 else True

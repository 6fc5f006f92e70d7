"""Walking JSON Schema 2020-12: which keywords hold subschemas, and how a location is written."""

from collections.abc import Iterator
from typing import Any

from asya_crds.schema_references import REFERENCES, References

SAME_VALUE = ("allOf", "anyOf", "oneOf")
"""Lists of schemas for the value itself."""
SAME_VALUE_ONE = ("not", "if", "then", "else")
CHILD_ONE = (
    "items",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "propertyNames",
    "contentSchema",
)
"""Keywords with one schema for parts of the value that have no name."""
CHILD_LISTS = ("prefixItems",)
CHILD_MAPS = ("properties", "patternProperties")
SAME_VALUE_MAPS = ("dependentSchemas",)
HOMES = ("$defs", "definitions")
"""Keywords that hold definitions for references."""

Path = tuple[str | int, ...]
Schema = dict[str, Any]


class BrokenSchema(ValueError):
    """A schema that cannot be used. `path` leads to the place; the message begins with it as a JSON Pointer."""

    def __init__(self, reason: str, path: Path = ()) -> None:
        super().__init__(f"{as_pointer(path)}: {reason}" if path else reason)
        self.path = path


def as_pointer(path: Path) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def subschemas(schema: Any) -> Iterator[tuple[Path, Schema]]:
    """The schema, every subschema inside it, and those to which references lead at other places (`#/components/…`, or a
    value of enum), with the path of the reference. Other values of enum and default are data, not schemas."""
    references, known = References(schema), set[int]()
    waiting: list[tuple[Path, Any]] = [((), schema)]
    while waiting:
        start, root = waiting.pop()
        if id(root) in known:
            continue
        for path, part in _inside(root, start):
            known.add(id(part))
            yield path, part
            for word in REFERENCES:
                if isinstance(reference := part.get(word), str):
                    waiting += [((*path, word), target) for target in references.targets(reference)]


def _inside(schema: Any, path: Path) -> Iterator[tuple[Path, Schema]]:
    if not isinstance(schema, dict):
        return
    yield path, schema
    for word in (*SAME_VALUE_ONE, *CHILD_ONE):
        if word in schema:
            yield from _inside(schema[word], (*path, word))
    for word in (*SAME_VALUE, *CHILD_LISTS):
        items = schema.get(word)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield from _inside(item, (*path, word, index))
    for word in (*CHILD_MAPS, *SAME_VALUE_MAPS, *HOMES):
        parts = schema.get(word)
        for key, part in parts.items() if isinstance(parts, dict) else ():
            yield from _inside(part, (*path, word, key))

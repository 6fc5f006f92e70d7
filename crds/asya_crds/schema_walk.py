"""Walking JSON Schema 2020-12: which keywords hold subschemas, and how a location is written."""

from collections.abc import Iterator
from typing import Any

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


def subschemas(schema: Any, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """The schema and every subschema inside it. Values of enum and default are data, not schemas."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for word in (*SAME_VALUE_ONE, *CHILD_ONE):
        if word in schema:
            yield from subschemas(schema[word], (*path, word))
    for word in (*SAME_VALUE, *CHILD_LISTS):
        items = schema.get(word)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield from subschemas(item, (*path, word, index))
    for word in (*CHILD_MAPS, *SAME_VALUE_MAPS, *HOMES):
        parts = schema.get(word)
        for key, part in parts.items() if isinstance(parts, dict) else ():
            yield from subschemas(part, (*path, word, key))

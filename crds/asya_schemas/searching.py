"""Finds where a value breaks its schema: every place in an ordinary value, the first ones in a huge one.

The library collects all errors before it returns the first (a million wrong items took 15 s), so it is asked for errors
only if the value is small. In a large value, each member and item gets a fast yes-or-no check, and the wrong ones are
searched until they are small or their place cannot be narrowed further.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError, Validator, ValidatorMap, validator_map_for

from asya_crds.large_json import places
from asya_crds.schema_walk import Path, Schema, as_pointer
from asya_crds.violation import Violation
from asya_schemas.costs import cost_at_one_place
from asya_schemas.patterns import TextLimit

MAX_VIOLATIONS = 50
MAX_MESSAGE = 200
MAX_POINTER = 500
DETAIL_BUDGET = 20_000
"""Evaluations (places of the value times the schema's weight) up to which every error is collected."""
CHECK_BUDGET = 20_000_000
"""Evaluations beyond which a value is refused unchecked: about a second with a schema that multiplies."""
UNITS_AT_ONCE = 400_000
"""Most units (costs.py) that the event loop may wait for: some hundredths of a second."""


class Search:
    """A compiled schema that can say where a value breaks it."""

    def __init__(self, schema: Schema, options: dict[str, Any], weight: int) -> None:
        self.schema = schema
        self._options = options
        self._weight = weight
        self._cost = cost_at_one_place(schema, weight)
        text = TextLimit(schema, weight)
        self._text = text if text.characters is not None else None
        self._root = Draft202012Validator(schema, **options)
        self._inside: ValidatorMap | None = None

    def __call__(self, value: Any) -> Sequence[Violation]:
        """Violations of the value, at most 50."""
        if self._weight > 4 and places(value, limit := CHECK_BUDGET // self._weight) > limit:
            return (Violation("", f"expected at most {limit} values, which this schema's alternatives allow"),)
        if self._text is not None and self._text.exceeded_by(value):
            most = self._text.characters
            return (Violation("", f"expected at most {most} characters of text, which this schema's patterns allow"),)
        if self.matches(value):
            return ()
        try:
            return self._violations(value)
        except UnicodeEncodeError:
            # The validator accepts lone surrogates in strings, but its errors do not.
            return self._violations(_encodable(value)) or (Violation("", "does not match the schema"),)

    def takes_long(self, value: Any, count: int) -> bool:
        """Whether checking a value with `count` places would block the event loop too long."""
        return count * self._cost > UNITS_AT_ONCE or (self._text is not None and self._text.takes_long(value))

    def matches(self, value: Any) -> bool:
        """Whether the value matches the schema. This is much faster than finding what is wrong."""
        try:
            return self._root.is_valid(value)
        except UnicodeEncodeError:
            return self._root.is_valid(_encodable(value))

    def _violations(self, value: Any) -> Sequence[Violation]:
        return tuple(islice(self._search(self._root, self.schema, (), value, ()), MAX_VIOLATIONS))

    def _search(
        self, validator: Validator, schema: Schema, schema_path: Path, value: Any, path: Path
    ) -> Iterator[Violation]:
        """Violations of a value that is known to be wrong."""
        limit = DETAIL_BUDGET // self._weight
        if places(value, limit) <= limit:
            for error in validator.iter_errors(value):
                yield _violation(error, path)
            return
        found = False
        for key, child, inner_path, inner_schema in _parts(schema, value):
            inner = self._validator((*schema_path, *inner_path))
            if inner is not None and not inner.is_valid(child):
                found = True
                yield from self._search(inner, inner_schema, (*schema_path, *inner_path), child, (*path, key))
        if not found:
            yield Violation(_pointer(path), "does not match the schema of this place")

    def _validator(self, path: Path) -> Validator | None:
        """The validator of a subschema. All are compiled together when a large value is first found wrong."""
        if self._inside is None:
            self._inside = validator_map_for(self.schema, **self._options)
        return self._inside.get(f"#{as_pointer(path)}")


def _parts(schema: Schema, value: Any) -> Iterator[tuple[str | int, Any, Path, Schema]]:
    """Parts of the value that a simple keyword of the schema applies to, with the path to that subschema."""
    if isinstance(value, dict):
        named = schema.get("properties") or {}
        rest = None if schema.get("patternProperties") else schema.get("additionalProperties")
        for key, child in value.items():
            part = named.get(key, rest)
            if isinstance(part, dict):
                yield key, child, ("properties", key) if key in named else ("additionalProperties",), part
    elif isinstance(value, list):
        prefix = schema.get("prefixItems") or []
        for index, child in enumerate(value):
            part = prefix[index] if index < len(prefix) else schema.get("items")
            if isinstance(part, dict):
                yield index, child, ("prefixItems", index) if index < len(prefix) else ("items",), part


def _violation(error: ValidationError, path: Path) -> Violation:
    return Violation(_pointer((*path, *error.instance_path)), describe(error.message))


def _pointer(path: Path) -> str:
    pointer = as_pointer(path)
    return pointer if len(pointer) <= MAX_POINTER else pointer[:MAX_POINTER] + "…"


def describe(message: str) -> str:
    """The library's message, shortened to one line."""
    text = " ".join(message.split())
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def _encodable(value: Any) -> Any:
    """The value with lone surrogates replaced, because the library does not accept them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(child) for key, child in value.items()}
    return [_encodable(child) for child in value] if isinstance(value, list) else value

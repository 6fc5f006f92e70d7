"""Mistakes in documents that users write: the path of the field, and what was expected there.

Mistakes in flows.yaml, Flow and AsyncActor resources, actors.yaml and the registry push are all worded here, so that
the same mistake reads the same everywhere.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from asya_crds.schema_walk import BrokenSchema, Path

PLAIN_WORDS = {
    "missing": "required field is missing",
    "string_type": "expected text; quote it if it looks like something else",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "dict_type": "expected an object",
    "model_type": "expected an object",
    "model_attributes_type": "expected an object",
    "dataclass_type": "expected an object",
    "list_type": "expected a list",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "greater_than": "expected more than {gt:g}",
    "greater_than_equal": "expected at least {ge:g}",
    "less_than": "expected less than {lt:g}",
    "less_than_equal": "expected at most {le:g}",
    "enum": "expected {expected}",
    "literal_error": "expected {expected}",
    "union_tag_invalid": "expected {discriminator} to be one of {expected_tags}",
    "union_tag_not_found": "{discriminator} is missing",
}
"""The validator's error types, in words for the author of the document or the setting."""
MOST_LISTED = 12
"""Fields that a mistake lists at most; more would hide what it says."""


@dataclass(frozen=True, slots=True)
class FieldMistake:
    """One mistake. `path` leads to the field, `inside` further into its value (a place in a schema)."""

    path: Path
    reason: str
    inside: Path = ()

    def text(self) -> str:
        """`field.path: reason`."""
        return worded(self.path, self.reason)


class InvalidDocument(ValueError):
    """A document with mistakes. The text names each field and what was expected there."""

    def __init__(self, mistakes: Iterable[FieldMistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(each.text() for each in self.mistakes))


def dotted(path: Path) -> str:
    """`field.path`. Parts from input are shortened."""
    return ".".join(str(part)[:80] for part in path)


def worded(path: Path, reason: str) -> str:
    """`field.path: reason`."""
    return f"{dotted(path)}: {reason}" if path else reason


def explain(error: ValidationError, model: type[Any]) -> list[FieldMistake]:
    """Every mistake found when validating this model, in the order of the fields."""
    return [_explained(detail, model) for detail in error.errors(include_url=False, include_input=False)]


def _explained(detail: ErrorDetails, model: type[Any]) -> FieldMistake:
    path, kind = detail["loc"], detail["type"]
    reason = plain_words(detail)
    if kind == "is_instance_of":
        wanted = detail.get("ctx", {}).get("class")
        reason = {"str": "expected a string", "dict": "expected an object"}.get(str(wanted), reason)
    elif kind == "extra_forbidden":
        reason = unknown_field(path, model)
    cause = detail.get("ctx", {}).get("error")
    return FieldMistake(path, reason, cause.path if isinstance(cause, BrokenSchema) else ())


def plain_words(detail: Mapping[str, Any]) -> str:
    """What was expected, for one of the validator's errors."""
    words = PLAIN_WORDS.get(detail["type"])
    if words is None:
        return str(detail["msg"]).removeprefix("Value error, ")
    return words.format(**detail.get("ctx", {}))


def unknown_field(path: Path, model: type[Any]) -> str:
    """`unknown field (did you mean …?)` or `unknown field (expected …)`: the last part of the path is no field of the
    model there."""
    return f"unknown field{_suggestion(path, model)}"


def _suggestion(path: Path, model: type[Any]) -> str:
    """` (did you mean …?)` if a field at that place has a similar name, else the fields there if they are few."""
    written = str(path[-1])
    fields = dict(_fields_beside(path, model))
    known = [field.alias or name for name, field in fields.items()]
    if written not in known and written in fields:
        alias = fields[written].alias
        return f": given together with {alias}, which is the same field"
    near = difflib.get_close_matches(written, known, n=1, cutoff=0.6)
    if near:
        return f" (did you mean {near[0]}?)"
    return f" (expected {', '.join(known)})" if 0 < len(known) <= MOST_LISTED else ""


def _fields_beside(path: Path, model: type[Any]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields of the models that may contain the last part of the path."""
    annotation: Any = model
    for part in path[:-1]:
        fields = (pair for each in _models(annotation) for pair in each.model_fields.items())
        annotation = next((field.annotation for name, field in fields if part in (name, field.alias)), annotation)
    for each in _models(annotation):
        yield from each.model_fields.items()


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, including those inside a list, a map or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)

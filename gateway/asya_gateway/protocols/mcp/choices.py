"""Enumerations in schemas, and how each revision of forms writes them (schema EnumSchema)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from asya_gateway.protocols.mcp.versions import Revision


@dataclass(frozen=True, slots=True)
class Choices:
    """Texts to choose from, in order. `titles` are what a person sees, empty if there are none. `legacy`: they were
    written as enumNames."""

    values: tuple[str, ...]
    titles: tuple[str, ...] = ()
    legacy: bool = False

    def single(self, revision: Revision) -> dict[str, Any]:
        """The field that takes one of them. Titles are `oneOf` from 2025-11-25 on, `enumNames` before."""
        if not self.titles:
            return {"type": "string", "enum": list(self.values)}
        if self.legacy or revision < Revision.NOVEMBER_2025:
            return {"type": "string", "enum": list(self.values), "enumNames": list(self.titles)}
        return {"type": "string", "oneOf": self._titled()}

    def several(self) -> dict[str, Any]:
        """The `items` of a field that takes several of them."""
        if self.titles:
            return {"anyOf": self._titled()}
        return {"type": "string", "enum": list(self.values)}

    def _titled(self) -> list[dict[str, str]]:
        return [{"const": value, "title": title} for value, title in zip(self.values, self.titles, strict=True)]


def choices_of(part: Mapping[str, Any]) -> Choices | None:
    """The texts that a schema enumerates; None if it does not, or enumerates other values."""
    for keyword in ("oneOf", "anyOf"):
        if _is_list(alternatives := part.get(keyword)):
            return _titled(alternatives)
    values = part.get("enum")
    if values is None and isinstance(part.get("const"), str):
        values = [part["const"]]
    if not _is_list(values) or not all(isinstance(value, str) for value in values):
        return None
    names = part.get("enumNames")
    if _is_list(names) and len(names) == len(values) and all(isinstance(name, str) for name in names):
        return Choices(tuple(values), tuple(names), legacy=True)
    return Choices(tuple(values))


def _titled(alternatives: Sequence[Any]) -> Choices | None:
    if not all(isinstance(each, Mapping) and isinstance(each.get("const"), str) for each in alternatives):
        return None
    values = tuple(each["const"] for each in alternatives)
    titles = tuple(str(each.get("title", each["const"])) for each in alternatives)
    return Choices(values, titles)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and bool(value)

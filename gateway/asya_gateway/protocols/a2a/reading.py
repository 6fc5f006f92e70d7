"""Reads the members of decoded JSON, with errors that name the member by its path."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from asya_crds.envelope import parse_time
from asya_gateway.protocols.a2a.errors import InvalidParams

Item = TypeVar("Item")

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""A time with its zone (RFC 3339, section 5.6)."""

LONGEST_ID = 255
MOST_ITEMS = 1_000
"""Most parts, extensions or references of a message."""


class Members:
    """An object at `path`; "" is the root. A member that is null counts as absent (ProtoJSON)."""

    def __init__(self, value: Mapping[str, Any], path: str = "") -> None:
        self.value = value
        self.path = path

    @classmethod
    def of(cls, value: Any, path: str) -> "Members":
        """Raises InvalidParams if it is no object."""
        if not isinstance(value, Mapping):
            raise InvalidParams(path, "expected an object")
        return cls(value, path)

    def at(self, name: str) -> str:
        """The path of a member."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, expected: str) -> InvalidParams:
        """The error for a member."""
        return InvalidParams(self.at(name), f"expected {expected}")

    def get(self, *names: str) -> Any:
        """The first member of these names that is present; None if none is."""
        for name in names:
            found = self.value.get(name)
            if found is not None:
                return found
        return None

    def text(self, *names: str, longest: int | None = None) -> str:
        """A string, "" if absent."""
        found = self.get(*names)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise self.wrong(names[0], "a string")
        if longest is not None and len(found) > longest:
            raise self.wrong(names[0], f"at most {longest} characters")
        return found

    def required_id(self, *names: str) -> str:
        """An id, which must be present and not empty."""
        found = self.optional_id(*names)
        if not found:
            raise self.wrong(names[0], f"a string of 1 to {LONGEST_ID} characters")
        return found

    def optional_id(self, *names: str) -> str:
        """An id, "" if absent."""
        found = self.get(*names)
        return "" if found is None else an_id(found, self.at(names[0]))

    def flag(self, name: str) -> bool | None:
        """A boolean, None if absent."""
        found = self.get(name)
        if found is not None and not isinstance(found, bool):
            raise self.wrong(name, "a boolean")
        return found

    def count(self, *names: str) -> int | None:
        """An integer of at least 0, None if absent."""
        found = self.get(*names)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**31:
            raise self.wrong(names[0], "an integer of at least 0")
        return found

    def within(self, names: tuple[str, ...], least: int, most: int) -> int | None:
        """An integer within bounds, None if absent."""
        found = self.get(*names)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            raise self.wrong(names[0], f"an integer from {least} to {most}")
        return found

    def time(self, *names: str) -> datetime | None:
        """A time of RFC 3339, None if absent."""
        text = self.text(*names, longest=64)
        if not text:
            return None
        found = parse_time(text) if RFC_3339.fullmatch(text) else None
        if found is None:
            raise self.wrong(names[0], 'a time such as "2026-01-31T12:00:00Z"')
        return found

    def object(self, *names: str) -> Mapping[str, Any]:
        """An object, empty if absent."""
        found = self.get(*names)
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise self.wrong(names[0], "an object")
        return found

    def members(self, name: str) -> "Members | None":
        """An object's members, None if absent."""
        found = self.get(name)
        return None if found is None else Members.of(found, self.at(name))

    def one(self, names: Sequence[str], read: Callable[[Any, str], Item]) -> Item | None:
        """A value that is read with its path, None if absent."""
        found = self.get(*names)
        return None if found is None else read(found, self.at(names[0]))

    def each(self, names: Sequence[str], read: Callable[[Any, str], Item]) -> tuple[Item, ...]:
        """An array, each item of which is read with its path; empty if absent."""
        found = self.get(*names)
        if found is None:
            return ()
        if not isinstance(found, list):
            raise self.wrong(names[0], "an array")
        if len(found) > MOST_ITEMS:
            raise self.wrong(names[0], f"at most {MOST_ITEMS} items")
        return tuple(read(item, f"{self.at(names[0])}[{index}]") for index, item in enumerate(found))

    def texts(self, *names: str) -> tuple[str, ...]:
        """An array of strings, empty if absent."""
        return self.each(names, a_text)

    def ids(self, *names: str) -> tuple[str, ...]:
        """An array of ids, empty if absent."""
        return self.each(names, an_id)


def a_text(value: Any, path: str) -> str:
    """A string of an array."""
    if not isinstance(value, str):
        raise InvalidParams(path, "expected a string")
    return value


def an_id(value: Any, path: str) -> str:
    """An id, which may be empty. No id has control characters or halves of surrogate pairs, which cannot be stored."""
    text = a_text(value, path)
    if len(text) > LONGEST_ID:
        raise InvalidParams(path, f"expected at most {LONGEST_ID} characters")
    if not text.isprintable():
        raise InvalidParams(path, "expected printable characters")
    return text

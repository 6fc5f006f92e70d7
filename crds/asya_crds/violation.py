"""Where a value breaks its schema."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where a value breaks its schema. `path` is a JSON Pointer (RFC 6901); "" is the root."""

    path: str
    message: str


ArgumentCheck = Callable[[Any], Sequence[Violation]]
"""Checks a value against a compiled schema; returns its violations, none if it matches."""

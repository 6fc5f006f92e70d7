"""Checks of values against JSON Schema 2020-12, bounded in time and in the size of their messages.

Schemas are limited in size, depth and multiplication (asya_crds.schema_rules), patterns run on an engine without
backtracking, and nothing is ever fetched. `format` is an annotation, the default of JSON Schema 2020-12 (Validation,
section 7.2.1).
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from jsonschema_rs import RegexOptions, ValidationError

from asya_crds import jsontext
from asya_crds.schema_cost import evaluations
from asya_crds.schema_rules import check_schema
from asya_crds.schema_walk import BrokenSchema
from asya_crds.violation import ArgumentCheck
from asya_schemas.searching import Search, describe

PATTERN_LIMIT = 1024 * 1024
"""Most bytes of a compiled pattern."""
KEPT_CHECKS = 4096
KEPT_BYTES = 32 * 1024 * 1024
"""Total weight of cached checks."""
CHECK_BYTES = 16 * 1024
TEXT_WEIGHT = 24
"""Weight of a compiled check: a fixed part, and this many bytes for each byte of its schema's text."""

_TYPES = "array, boolean, integer, null, number, object, string"
_OPTIONS = {
    "offline": True,
    # Replaces the value in messages, because it may be large or secret.
    "mask": "value",
    "pattern_options": RegexOptions(size_limit=PATTERN_LIMIT, dfa_size_limit=PATTERN_LIMIT),
}


def compile_schema(schema: Mapping[str, Any], *, known_good: bool = False) -> ArgumentCheck:
    """A check that returns at most 50 violations, each with its JSON Pointer. Cached by the schema's hash.

    `known_good` means that asya_crds.schema_rules has already been applied, as for every Flow.

    Raises BrokenSchema (a ValueError) for a schema that cannot be used.
    """
    text = jsontext.dumps(dict(schema))
    key = hashlib.sha256(text.encode()).digest()
    found = _kept.find(key)
    if found is not None:
        return found
    if not known_good:
        check_schema(dict(schema))
    check = _compile(dict(schema), text)
    _kept.keep(key, check, CHECK_BYTES + TEXT_WEIGHT * len(text))
    return check


def keep_at_most(size: int) -> None:
    """Limit the total weight of cached checks, in bytes. The least recently used are dropped first."""
    _kept.bound(size)


class _Kept:
    """A cache of checks by their schema's hash, bounded in number and bytes."""

    def __init__(self) -> None:
        self._checks: OrderedDict[bytes, tuple[ArgumentCheck, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._limit = KEPT_BYTES
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._checks)

    def find(self, key: bytes) -> ArgumentCheck | None:
        """The check with this hash, if it is cached."""
        with self._lock:
            found = self._checks.get(key)
            if found is None:
                return None
            self._checks.move_to_end(key)
            return found[0]

    def keep(self, key: bytes, check: ArgumentCheck, size: int) -> None:
        """Add a check, dropping the least recently used ones. A check that would leave room for no other is not
        added."""
        with self._lock:
            if size > self._limit:
                return
            _, before = self._checks.pop(key, (check, 0))
            self._checks[key] = check, size
            self.bytes += size - before
            self._forget()

    def bound(self, size: int) -> None:
        """Change the limit in bytes."""
        with self._lock:
            self._limit = size
            self._forget()

    def _forget(self) -> None:
        while self._checks and (len(self._checks) > KEPT_CHECKS or self.bytes > self._limit):
            _, (_, size) = self._checks.popitem(last=False)
            self.bytes -= size


_kept = _Kept()


def _compile(schema: dict[str, Any], text: str) -> ArgumentCheck:
    try:
        return Search(schema, _OPTIONS, weight=max(1, int(evaluations(schema, text))))
    except ValidationError as error:
        raise _explained(error) from None
    except ValueError as error:
        raise BrokenSchema(f"not a JSON Schema: {describe(str(error))}") from None


def _explained(error: ValidationError) -> BrokenSchema:
    path = tuple(error.instance_path)
    if path and path[-1] in ("pattern", "patternProperties"):
        return BrokenSchema(
            "expected a regular expression without look-around and back-references (they can take unbounded time)",
            path,
        )
    if path and path[-1] == "type" and tuple(error.schema_path)[-1:] == ("anyOf",):
        # The engine names the alternatives of the metaschema, which are of no use to an author.
        return BrokenSchema(f"not a JSON Schema: expected one of {_TYPES}, or a list of some, each once", path)
    return BrokenSchema(f"not a JSON Schema: {describe(error.message)}", path)

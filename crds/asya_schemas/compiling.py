"""Checks of values against JSON Schema 2020-12, bounded in time and in what they say.

What bounds them: schemas are limited in size, depth and multiplication (asya_crds.schema_rules), patterns run on an
engine without backtracking, and nothing is ever fetched. `format` is an annotation, as JSON Schema 2020-12
(Validation, section 7.2.1) has it by default.
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
"""Bytes of a compiled pattern."""
KEPT_CHECKS = 4096

_OPTIONS = {
    "offline": True,
    # Stands in messages where the value would, which may be large or secret.
    "mask": "value",
    "pattern_options": RegexOptions(size_limit=PATTERN_LIMIT, dfa_size_limit=PATTERN_LIMIT),
}


def compile_schema(schema: Mapping[str, Any], *, known_good: bool = False) -> ArgumentCheck:
    """A check that returns every violation with its JSON Pointer, at most 50. Kept by the schema's hash.

    `known_good` says that asya_crds.schema_rules was asked already, as it is for every Flow.

    Raises BrokenSchema (a ValueError) for what is no schema that can be used.
    """
    text = jsontext.dumps(dict(schema))
    key = hashlib.sha256(text.encode()).digest()
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    if not known_good:
        check_schema(dict(schema))
    check = _compile(dict(schema), text)
    with _lock:
        _kept[key] = check
        while len(_kept) > KEPT_CHECKS:
            _kept.popitem(last=False)
    return check


_kept: OrderedDict[bytes, ArgumentCheck] = OrderedDict()
_lock = threading.Lock()


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
    return BrokenSchema(f"not a JSON Schema: {describe(error.message)}", path)

"""The field types of the contract's messages, each with its check and its schema.

The checks are our own, because pydantic's refuse lone surrogates and integers written as 1.0. They take what jsontext
decoded.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf, PlainValidator, WithJsonSchema

from asya_crds.incarnations import LARGEST
from asya_crds.naming import ID_PATTERN, MAX_ID_LENGTH, WORDS_FOR_IDS, check_id, check_own_id
from asya_crds.status import ErrorClass, HopState

LARGEST_INTEGER = 2**31 - 1
LARGEST_MEASURE = 1e15
ID_SCHEMA: dict[str, Any] = {
    "description": "An opaque identifier or a name: 1 to 255 printable characters.",
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_LENGTH,
    "pattern": ID_PATTERN,
    "not": {"enum": [".", ".."]},
}


def integer(least: int, most: int) -> Callable[[Any], int]:
    """A check of an integer within bounds."""

    def check(value: Any) -> int:
        # 1.0 is an integer (JSON Schema 2020-12, section 6.1.1).
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"expected an integer from {least} to {most}")
        return value

    return check


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_MEASURE:
        raise ValueError("expected a number that is not negative")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")  # as above
    return value


def _error(value: Any) -> str | dict[str, Any]:
    if not isinstance(value, str | dict):
        raise ValueError("expected a string, or an object {message, type, mro, traceback}")  # as above
    return value


def _hop(value: Any) -> str:
    """The step within the task, as text or as a number."""
    return str(integer(0, LARGEST_INTEGER)(value)) if isinstance(value, int | float) else check_id(value)


def _word(words: type[HopState | ErrorClass], *more: str) -> Callable[[Any], Any]:
    known = {word.value: word for word in words}

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in known:
            return known[value]
        raise ValueError(f"expected one of {', '.join([*words, *more])}")

    return check


def _bounded(least: int, most: int = LARGEST_INTEGER) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


_HOP_SCHEMA = {"anyOf": [ID_SCHEMA, _bounded(0)]}
_ERROR_SCHEMA = {"type": ["string", "object"]}
_MEASURE_SCHEMA = {"type": "number", "minimum": 0, "maximum": LARGEST_MEASURE}

Id = Annotated[str, PlainValidator(check_id), WithJsonSchema(ID_SCHEMA)]
OwnId = Annotated[
    str,
    PlainValidator(check_own_id),
    WithJsonSchema({**ID_SCHEMA, "not": {"enum": [*ID_SCHEMA["not"]["enum"], *WORDS_FOR_IDS]}}),
]
Text = Annotated[InstanceOf[str], WithJsonSchema({"type": "string"})]
Object = Annotated[InstanceOf[dict[str, Any]], WithJsonSchema({"type": "object"})]
Flag = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]
Measure = Annotated[float, PlainValidator(_number), WithJsonSchema(_MEASURE_SCHEMA)]
Count = Annotated[int, PlainValidator(integer(0, LARGEST_INTEGER)), WithJsonSchema(_bounded(0))]
Attempt = Annotated[int, PlainValidator(integer(1, LARGEST_INTEGER)), WithJsonSchema(_bounded(1))]
Incarnation = Annotated[int, PlainValidator(integer(0, LARGEST)), WithJsonSchema(_bounded(0, LARGEST))]
HopName = Annotated[str, PlainValidator(_hop), WithJsonSchema(_HOP_SCHEMA)]
Error = Annotated[str | dict[str, Any], PlainValidator(_error), WithJsonSchema(_ERROR_SCHEMA)]
State = Annotated[
    HopState, PlainValidator(_word(HopState, "paused")), WithJsonSchema({"enum": [state.value for state in HopState]})
]
Class = Annotated[
    ErrorClass, PlainValidator(_word(ErrorClass)), WithJsonSchema({"enum": [each.value for each in ErrorClass]})
]


MAX_ACTORS = 1024
"""Longest accepted route. A longer one comes from a runaway loop."""


def _names(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError("expected a list of actor names")  # as above
    if len(value) > MAX_ACTORS:
        raise ValueError(f"expected at most {MAX_ACTORS} actors")
    return value


def _current(value: Any) -> str:
    return "" if value is None or value == "" else check_id(value)


_NAMES_SCHEMA = {"type": ["array", "null"], "items": ID_SCHEMA, "maxItems": MAX_ACTORS}
_CURRENT_SCHEMA = {"anyOf": [ID_SCHEMA, {"const": ""}, {"type": "null"}]}
Names = Annotated[tuple[Id, ...], BeforeValidator(_names), WithJsonSchema(_NAMES_SCHEMA)]
CurrentActor = Annotated[str, PlainValidator(_current), WithJsonSchema(_CURRENT_SCHEMA)]

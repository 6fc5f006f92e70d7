"""Taking fields out of a decoded JSON object: each names itself in what it refuses."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_crds.naming import check_id
from asya_gateway.domain.errors import InvalidInput

Body = Mapping[str, Any]


LONGEST_NAME = 64
"""Characters of a name that a caller made up, as an error quotes it."""


def only_members(body: Body, *known: str) -> None:
    """Refuse a member that nobody reads: a misspelled one would change nothing, and its sender would not hear of it.
    Raises InvalidInput naming it."""
    for name in body:
        if name not in known:
            raise unknown("member", name, known)


def unknown(what: str, name: str, known: Sequence[str]) -> InvalidInput:
    """The error for a member or parameter that is none of the `known` ones."""
    quoted = "".join(each if each.isprintable() else "\ufffd" for each in name[:LONGEST_NAME])
    expected = f"expected {', '.join(known)}" if known else "expected none"
    return InvalidInput(f"unknown {what}, {expected}", field=quoted)


def identifier(body: Body, key: str) -> str:
    """A required identifier: printable, 1 to 255 characters. Raises InvalidInput."""
    return checked_id(body.get(key), key)


def checked_id(value: object, field: str) -> str:
    """`value` as an identifier. Raises InvalidInput naming `field`."""
    try:
        return check_id(value)
    except ValueError as error:
        raise InvalidInput(str(error), field=field) from None


def optional_text(body: Body, key: str) -> str | None:
    """A text for people to read, None where it is absent or null. Raises InvalidInput.

    NUL and lone surrogates may stay: storage makes texts fit to be kept, since no report must be lost over one.
    """
    value = body.get(key)
    if value is None or isinstance(value, str):
        return value
    raise InvalidInput("expected a string", field=key)


def optional_object(body: Body, key: str) -> dict[str, Any] | None:
    """A JSON object, or None where it is absent or null. Raises InvalidInput."""
    value = body.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise InvalidInput("expected an object", field=key)


def optional_integer(body: Body, key: str, *, least: int = 0, most: int = 2**31 - 1) -> int | None:
    """An integer within bounds, or None where it is absent or null; 1.0 is one (JSON Schema 2020-12, section
    6.1.1). Raises InvalidInput."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(f"expected an integer from {least} to {most}", field=key)
    return value

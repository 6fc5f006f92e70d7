"""Reading fields of a decoded JSON object. Each error names its field."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_crds.naming import check_id
from asya_gateway.domain.errors import InvalidInput

Body = Mapping[str, Any]


LONGEST_NAME = 64
"""Most characters of a caller's name that an error quotes."""


def only_members(body: Body, *known: str) -> None:
    """Refuse unknown members, because a misspelled one would be ignored without notice. Raises InvalidInput naming the
    member."""
    for name in body:
        if name not in known:
            raise unknown("member", name, known)


def unknown(what: str, name: str, known: Sequence[str]) -> InvalidInput:
    """The error for an unknown member or parameter."""
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
    """A text for users, None if it is absent or null. Raises InvalidInput.

    NUL and lone surrogates are accepted, so that no report is lost because of them. Storage replaces them.
    """
    value = body.get(key)
    if value is None or isinstance(value, str):
        return value
    raise InvalidInput("expected a string", field=key)


def optional_object(body: Body, key: str) -> dict[str, Any] | None:
    """A JSON object, or None if it is absent or null. Raises InvalidInput."""
    value = body.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise InvalidInput("expected an object", field=key)


def optional_integer(body: Body, key: str, *, least: int = 0, most: int = 2**31 - 1) -> int | None:
    """An integer within bounds, or None if it is absent or null. 1.0 is an integer (JSON Schema 2020-12, section
    6.1.1). Raises InvalidInput."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(f"expected an integer from {least} to {most}", field=key)
    return value

"""Taking fields out of a decoded JSON object: each names itself in what it refuses."""

from collections.abc import Mapping
from typing import Any

from asya_crds.naming import check_id
from asya_gateway.domain.errors import InvalidInput

Body = Mapping[str, Any]


def identifier(body: Body, key: str) -> str:
    """A required identifier: printable, 1 to 255 characters. Raises InvalidInput."""
    return checked_id(body.get(key), key)


def optional_identifier(body: Body, key: str) -> str | None:
    """An identifier, or None where it is absent or null. Raises InvalidInput."""
    return None if body.get(key) is None else checked_id(body[key], key)


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


def optional_number(body: Body, key: str) -> float | None:
    """A number that is not negative, or None where it is absent or null. Raises InvalidInput."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e15:
        raise InvalidInput("expected a number that is not negative", field=key)
    return value

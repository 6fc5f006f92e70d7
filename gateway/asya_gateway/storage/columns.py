"""A batch's column as one text, for values without control characters: ids, names, numbers and JSON.

asyncpg checks each element of an array twice against abstract base classes, which costs more than everything else that
it does for an ordinary row (docs/performance.md). A text is one value, and PostgreSQL splits it as fast as it reads an
array.
"""

from collections.abc import Sequence

SEPARATOR = "\x1f"
NULL = "\x1e"
"""Stands for NULL."""


def joined(values: Sequence[str], *, nulls: bool = True) -> str:
    """The argument for `split`; NULL stands for a missing value.

    Raises ValueError for a value with the separator in it, and without `nulls` also for one with NULL.
    """
    # Begins with a separator, because PostgreSQL splits an empty text into no values instead of one empty value.
    text = SEPARATOR + SEPARATOR.join(values)
    if text.count(SEPARATOR) != len(values) or (not nulls and NULL in text):
        raise ValueError("expected values without control characters")
    return text


def split(argument: int, kind: str = "text") -> str:
    """SQL for the array of type `kind` in argument number `argument`."""
    array = f"(string_to_array(${argument}, E'\\x1f', E'\\x1e'))[2:]"
    return array if kind == "text" else f"{array}::{kind}[]"

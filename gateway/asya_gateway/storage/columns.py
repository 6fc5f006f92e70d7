"""A batch's column as one text, for values that hold no control characters: ids, names, numbers and JSON.

asyncpg looks at each element of an array twice through the abstract base classes, which costs more than all else that
it does for an ordinary row (docs/performance.md). A text is one value, and PostgreSQL takes it apart as fast as an
array.
"""

from collections.abc import Sequence

SEPARATOR = "\x1f"
NULL = "\x1e"
"""Where a value is NULL."""


def joined(values: Sequence[str]) -> str:
    """The argument for `split`; NULL stands for a value that is not there.

    Raises ValueError for a value that the text could not tell apart.
    """
    # Begins with a separator, since PostgreSQL splits an empty text into nothing, and not into one empty text.
    text = SEPARATOR + SEPARATOR.join(values)
    if text.count(SEPARATOR) != len(values):
        raise ValueError("expected values without control characters")
    return text


def split(argument: int, kind: str = "text") -> str:
    """SQL of the array of `kind` that argument number `argument` stands for."""
    array = f"(string_to_array(${argument}, E'\\x1f', E'\\x1e'))[2:]"
    return array if kind == "text" else f"{array}::{kind}[]"

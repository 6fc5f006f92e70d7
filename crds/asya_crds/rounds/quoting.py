"""Texts that quote arguments: `Delete ${filename}?`.

`${name}` stands for the argument `name`, `${address.city}` for a member of one; `$${` is a literal `${`. A quote is a
path and nothing else: nothing is evaluated, and each value is shortened.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from asya_crds import jsontext

MOST_QUOTES = 16
"""Quotes of one text."""
LONGEST_QUOTED = 1000
"""Characters of a quoted value."""
_STEP = r"[A-Za-z0-9_-]{1,64}"
_PATH = re.compile(rf"{_STEP}(?:\.{_STEP}){{0,7}}")
_QUOTE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")

QuotedPath = tuple[str, ...]


def quoted_paths(text: str) -> Iterator[QuotedPath]:
    """The paths that a text quotes. Raises ValueError for a quote that is none, and for too many of them."""
    count = 0
    for found in _QUOTE.finditer(text):
        if found[0] == "$${":
            continue
        if not found[2] or not _PATH.fullmatch(found[1]):
            raise ValueError(
                f"expected ${{name}} or ${{name.member}} of letters, digits, '_' and '-', got {found[0][:80]!r}; "
                "a literal ${ is written $${"
            )
        count += 1
        if count > MOST_QUOTES:
            raise ValueError(f"expected at most {MOST_QUOTES} quoted arguments in one text")
        yield tuple(found[1].split("."))


def filled_text(text: str, values: Mapping[str, Any]) -> str:
    """The text with its quotes replaced. What the values lack is quoted as nothing, control characters as U+FFFD."""
    return _filled(text, values, _readable)


def filled_url(url: str, values: Mapping[str, Any]) -> str:
    """The URL with its quotes replaced, percent-encoded, so that a value stays inside its part of the URL (RFC 3986,
    section 2.1)."""
    return _filled(url, values, lambda value: quote(value, safe="", errors="replace"))


def _filled(text: str, values: Mapping[str, Any], encode: Callable[[str], str]) -> str:
    def replaced(found: re.Match[str]) -> str:
        return "${" if found[0] == "$${" else encode(_shown(values, tuple(found[1].split("."))))

    return _QUOTE.sub(replaced, text)


def _shown(values: Mapping[str, Any], path: QuotedPath) -> str:
    value: Any = values
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    shown = value if isinstance(value, str) else jsontext.dumps(value)
    return shown if len(shown) <= LONGEST_QUOTED else shown[: LONGEST_QUOTED - 1] + "…"


def _readable(text: str) -> str:
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)

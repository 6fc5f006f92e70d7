"""Makes standard output and error accept every character, whatever their encoding."""

import codecs
import sys
from io import TextIOWrapper

_IN_ASCII = {"→": "->", "✓": "+", "│": "|", "…": "..."}
"""Replacements for our own non-ASCII characters, for outputs that cannot write them."""
_ERRORS = "asya.readable"


def take_every_character() -> None:
    """Make stdout and stderr accept any text in their encoding."""
    codecs.register_error(_ERRORS, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(each) or each.encode("ascii", "backslashreplace").decode() for each in text), error.end


def writes(text: str, encoding: str | None) -> bool:
    """Whether an output with this encoding can write the text unchanged."""
    try:
        text.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True

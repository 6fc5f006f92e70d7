"""Standard output and error that take every character, whatever their encoding."""

import codecs
import sys
from io import TextIOWrapper

_IN_ASCII = {"→": "->", "✓": "+", "│": "|", "…": "..."}
"""What our own words use beyond ASCII, for an output that cannot write it."""
_ERRORS = "asya.readable"


def take_every_character() -> None:
    """Let stdout and stderr write whatever text comes, in whatever encoding they have."""
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
    """Whether an output of this encoding can write the text as it is."""
    try:
        text.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True

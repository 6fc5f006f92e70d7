"""Makes untrusted text safe for a terminal, a log and a pipe.

Callers choose the text of payloads, errors and names. A terminal obeys control sequences in it: they set the window's
title, move the cursor, hide lines. In addition, no encoding can write a lone surrogate.
"""

import re

UNREADABLE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""The content of a regular expression's character class: controls except tab and line feed, characters that invisibly
reorder a line (Unicode's property Bidi_Control) or break it, and lone surrogates."""
_UNREADABLE = re.compile(f"[{UNREADABLE}]")


def readable(text: str) -> str:
    r"""The text with every unreadable character as its escape (`\x1b`, `\u202e`, `\ud83d`); line feeds and tabs stay.

    A second call changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNREADABLE.sub(_escape, text)


def is_readable(text: str) -> bool:
    """Whether `readable` would change nothing."""
    return _UNREADABLE.search(text) is None


def json_escaped(text: str) -> str:
    r"""JSON text with every unreadable character as `\uXXXX`: another spelling of the same document."""
    return _UNREADABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

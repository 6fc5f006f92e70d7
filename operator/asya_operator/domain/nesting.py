"""JSON of the API server, whatever somebody nested in one of its objects.

The API server takes 10,000 levels; Python's decoder takes about a thousand and then fails for the whole list, so that
one object would hold up all others. What is nested deeper than anything that we accept is read as null: the object
itself is then judged too deep, since what is left of it still is.
"""

import json
import re
from typing import Any

MAX_LEVELS = 200
"""Twice what flows and actors may have, so that nothing that counts is cut."""
_OTHERS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)


def loads(text: bytes) -> Any:
    """Decode, with each value below MAX_LEVELS read as null. Raises json.JSONDecodeError."""
    return json.loads(cut(text))


def cut(text: bytes) -> bytes:
    """The text with each value below MAX_LEVELS replaced by null, without recursion."""
    if _is_shallow(text):
        return text
    kept: list[bytes] = []
    depth = kept_to = cut_from = 0
    for token in _TOKEN.finditer(text):
        bracket = token.group()
        if bracket in (b"{", b"["):
            depth += 1
            if depth == MAX_LEVELS + 1:
                cut_from = token.start()
        elif bracket in (b"}", b"]"):
            if depth == MAX_LEVELS + 1:
                kept += [text[kept_to:cut_from], b"null"]
                kept_to = token.end()
            depth -= 1
    return b"".join([*kept, text[kept_to:]]) if kept else text


def _is_shallow(text: bytes) -> bool:
    """A quick look, five times as fast as decoding: take away innermost brackets, level by level. A bracket inside a
    string may stay over; then the closer look is needed, and False is the answer."""
    brackets = text.translate(None, _OTHERS)
    for _ in range(MAX_LEVELS):
        fewer = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if fewer == brackets:
            break
        brackets = fewer
    return not brackets

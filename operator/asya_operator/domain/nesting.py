"""Decodes JSON of the API server that may be nested too deeply.

The API server accepts 10,000 levels. Python's decoder accepts about a thousand and then fails for the whole list, so
one object would block all others. Values nested deeper than anything that we accept are read as null. The object is
still refused as too deep, because the rest of it is.
"""

import json
import re
from typing import Any

MAX_LEVELS = 200
"""Twice the depth that flows and actors may have, so that no valid object is cut."""
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
    """A quick check, five times as fast as decoding: remove innermost brackets, level by level. A bracket inside a
    string may remain; the answer is then False, and the full check is needed."""
    brackets = text.translate(None, _OTHERS)
    for _ in range(MAX_LEVELS):
        fewer = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if fewer == brackets:
            break
        brackets = fewer
    return not brackets

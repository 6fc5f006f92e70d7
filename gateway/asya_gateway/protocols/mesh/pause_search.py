"""Detects a pause in a document that is too large, by searching its text part by part."""

import re
from itertools import accumulate, zip_longest

_METADATA = b"pause_metadata"
_PAUSED = (b"paused", b"auth_required")
_LONGEST = 64
"""Bytes of a string that are kept: more than the searched names and values have."""
_STRING = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)("?)', re.DOTALL)
"""A string, also an incomplete one. If that did not match, each quote in it would be tried as the start of another
string, and a megabyte could take minutes."""
_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_ALL = set(range(256))
_NO_BRACKETS = bytes(_ALL - _STEPS.keys())
_NO_MARKS = bytes(_ALL - _STEPS.keys() - set(b":,"))


class PauseSearch:
    """Reads a document's parts without keeping them. Only members at `level` count (1: those of the document), because
    a payload or a frame further inside is not the report itself."""

    def __init__(self, level: int = 1) -> None:
        self._level = level
        self._depth = 0
        self._key = self._last = b""
        self._open: bytes | None = None
        """The beginning of an incomplete string."""
        self._cut = b""
        """A backslash at the end of a part; the escaped character is in the next one."""

    def finds(self, part: bytes) -> bool:
        """Read the next part; returns whether the document is a pause."""
        part, self._cut = self._cut + part, b""
        if self._open is None:
            return self._finds_in(part)
        inside = _INSIDE.match(part)
        assert inside is not None, "it matches nothing, too"
        end = inside.end()
        text = (self._open + part[: min(end, _LONGEST)])[:_LONGEST]
        if part[end : end + 1] != b'"':
            self._open, self._cut = text, part[end:]
            return False
        self._open = None
        return self._is_pause_by(text) or self._finds_in(part[end + 1 :])

    def _finds_in(self, part: bytes) -> bool:
        """The same for a part that begins outside strings."""
        pieces = _STRING.split(part)
        between, strings = pieces[::3], pieces[1::3]
        if strings and not pieces[-2]:
            self._cut, between[-1] = between[-1], b""
            self._open = strings.pop()[:_LONGEST]
        return self._finds_between(between, strings)

    def _finds_between(self, between: list[bytes], strings: list[bytes]) -> bool:
        steps = list(accumulate(map(_STEPS.__getitem__, b"".join(between).translate(None, _NO_BRACKETS))))
        if steps and self._depth + min(0, min(steps)) > self._level:
            # Inside a large member, like most parts.
            self._depth += steps[-1]
            return False
        if not steps and self._depth > self._level:
            return False
        for outside, string in zip_longest(between, strings):
            if self._is_pause_after(outside.translate(None, _NO_MARKS)):
                return True
            if string is not None and self._is_pause_by(string[:_LONGEST]):
                return True
        return False

    def _is_pause_after(self, marks: bytes) -> bool:
        for mark in marks:
            match mark:
                case 0x3A:  # a colon
                    if self._depth == self._level:
                        self._key = self._last
                case 0x2C:  # a comma
                    if self._depth == self._level:
                        self._key = b""
                case _:
                    step = _STEPS[mark]
                    if step > 0 and self._depth == self._level and self._key == _METADATA:
                        return True
                    self._depth += step
        return False

    def _is_pause_by(self, string: bytes) -> bool:
        if self._depth != self._level:
            return False
        self._last = string
        return self._key == _METADATA or (self._key == b"status" and string in _PAUSED)

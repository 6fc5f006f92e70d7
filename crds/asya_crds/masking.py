"""Keeps credentials out of the log."""

import re

HIDDEN = "***"

_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.\-]{0,63}://[^\s:/@'\"]*:)[^\s/'\"]+(?=@)", re.IGNORECASE)
"""`scheme://user:password@`, up to the last @ before the path, because drivers accept passwords that contain one."""
_NAMED = re.compile(
    r"((?:\b|_|pg)(?:password|passwd|pwd|secret|api[_-]?key)\b['\"]?\s*[=:]\s*)"
    r"(?:(['\"])(?:(?!\2)[^\\\n]|\\.)++(?:\2|$|(?=\n))|[^\s&;,'\"]+)",
    re.IGNORECASE,
)
"""A quoted value is hidden up to its closing quote, including blanks; without a closing quote, up to the end of its
line."""
_API_KEY = re.compile(r"\b(asya_[0-9A-Za-z]{12}_)[0-9A-Za-z]+")
"""Keys of callers, also mistyped ones. Their ids are public."""
_OAUTH = re.compile(r"\b(asya_(?:client|refresh|code|secret)_)[0-9A-Za-z_\-]+")
"""What the authorization server issues. Whoever knows the id of a client without a secret is that client."""
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=\-]{6,}")


def masked(text: str) -> str:
    """The text without passwords in URLs, values of `password=` and its like, API keys, what the authorization server
    issues, and Authorization credentials."""
    if "://" in text:
        text = _IN_URL.sub(rf"\1{HIDDEN}", text)
    text = _NAMED.sub(lambda found: f"{found[1]}{found[2] or ''}{HIDDEN}{found[2] or ''}", text)
    if "asya_" in text:
        text = _OAUTH.sub(rf"\1{HIDDEN}", _API_KEY.sub(rf"\1{HIDDEN}", text))
    return _AUTHORIZATION.sub(rf"\1 {HIDDEN}", text)

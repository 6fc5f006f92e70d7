"""URI templates (RFC 6570) of level 1, with `{+name}` of level 2, and finding the values in a URI that they expand to.

A URI is matched in one pass without backtracking, since callers choose it. Templates for which that could miss a match
are refused: expressions need a literal between them, and one of them at most is `{+name}`.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import unquote

LONGEST_URI = 2048
MOST_VARIABLES = 16
_EXPRESSION = re.compile(r"\{(\+?)([A-Za-z0-9_]{1,64})\}")
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(?=.)"
    r"(?://(?:[\w.~!$&'()*+,;=:%-]*@)?(\[[^][/?#@]*\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?(?=[/?#]|$)|(?!//))"
    r"[\w.~!$&'()*+,;=:@/%-]*(?:\?[\w.~!$&'()*+,;=:@/?%-]*)?(?:#[\w.~!$&'()*+,;=:@/?%-]*)?",
    re.ASCII,
)
"""Scheme, authority, path, query and fragment (RFC 3986, appendix A)."""
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_OWN_SCHEME = "asya:"
_NEVER_SIMPLE = frozenset("/?#")
"""What ends the value of `{name}`: expansion would have percent-encoded it (RFC 6570, section 3.2.2)."""


def is_uri(text: str) -> bool:
    """Whether this is an absolute URI (RFC 3986) with something behind its scheme. Clients that check formats drop a
    whole answer for one that is not."""
    match = _URI.fullmatch(text)
    if match is None or _BARE_PERCENT.search(text):
        return False
    host = match[1] or ""
    return not host.startswith("[") or _is_address(host[1:-1])


def _is_address(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def check_uri(uri: str) -> str:
    """An absolute URI (RFC 3986) of at most 2048 characters that is not one of the gateway's own. Raises ValueError."""
    if len(uri) > LONGEST_URI or not is_uri(uri):
        raise ValueError(f"expected an absolute URI such as docs://handbook, of at most {LONGEST_URI} characters")
    if uri.lower().startswith(_OWN_SCHEME):
        raise ValueError("expected another scheme: asya: names the gateway's own resources")
    return uri


def check_template(text: str) -> str:
    """A template that can be matched. Raises ValueError."""
    Template.of(text)
    return text


@dataclass(frozen=True, slots=True)
class Template:
    """`literals[0] names[0] literals[1] names[1] … literals[-1]`. `wide` is the index of `{+name}`, -1 without one."""

    literals: tuple[str, ...]
    names: tuple[str, ...]
    wide: int

    @classmethod
    def of(cls, text: str) -> "Template":
        """Raises ValueError saying what was expected."""
        parts = _EXPRESSION.split(text)
        literals, operators, names = parts[::3], parts[1::3], parts[2::3]
        if any("{" in literal or "}" in literal for literal in literals):
            raise ValueError("expected expressions of the form {name} or {+name} (RFC 6570, level 1 and {+name})")
        if not names:
            raise ValueError("expected at least one {name}; a URI without variables belongs in uri")
        if len(names) > MOST_VARIABLES:
            raise ValueError(f"expected at most {MOST_VARIABLES} variables")
        if len(set(names)) < len(names):
            raise ValueError("expected each variable once")
        if not all(literals[1:-1]):
            raise ValueError("expected some text between two expressions, such as a slash")
        if operators.count("+") > 1:
            raise ValueError("expected {+name} at most once")
        check_uri("x".join(literals))
        if ":" not in literals[0]:
            raise ValueError("expected a scheme before the first variable")
        return cls(tuple(literals), tuple(names), operators.index("+") if "+" in operators else -1)

    def match(self, uri: str) -> dict[str, str] | None:
        """The variables' values, percent-decoded; None for a URI that the template does not expand to."""
        if not uri.startswith(self.literals[0]) or not uri.endswith(self.literals[-1]):
            return None
        begin, end = len(self.literals[0]), len(uri) - len(self.literals[-1])
        pivot = self.wide if self.wide >= 0 else len(self.names) - 1
        values = [""] * len(self.names)
        for index in range(pivot):
            at = uri.find(self.literals[index + 1], begin + 1, end)
            if at < 0:
                return None
            values[index], begin = uri[begin:at], at + len(self.literals[index + 1])
        for index in range(len(self.names) - 1, pivot, -1):
            at = uri.rfind(self.literals[index], begin, end - 1)
            if at < 0:
                return None
            values[index], end = uri[at + len(self.literals[index]) : end], at
        values[pivot] = uri[begin:end] if begin < end else ""
        return self._decoded(values)

    def _decoded(self, values: list[str]) -> dict[str, str] | None:
        found: dict[str, str] = {}
        for index, (name, value) in enumerate(zip(self.names, values, strict=True)):
            if not value or (index != self.wide and not _NEVER_SIMPLE.isdisjoint(value)):
                return None
            try:
                found[name] = unquote(value, errors="strict")
            except UnicodeDecodeError:
                return None
        return found

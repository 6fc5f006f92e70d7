"""Where a code may be sent: which redirect URIs may be registered, and when a given one is a registered one."""

import ipaddress
import re
from collections.abc import Collection, Iterable
from urllib.parse import SplitResult, urlencode, urlsplit

DEFAULT_SCHEMES = ("cursor", "vscode", "vscode-insiders", "windsurf", "claude")
"""Private-use schemes (RFC 8252, section 7.1) of the clients that people use."""
NEVER = frozenset({"javascript", "data", "file", "blob", "vbscript", "about"})
"""Schemes that run or show content instead of reaching an application."""
WEB = frozenset({"http", "https"})
LONGEST_URI = 2048

_URI = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
"""The characters of RFC 3986 without `#`: a redirect URI has no fragment (RFC 6749, section 3.1.2)."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\.?")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(:[0-9]*)?")
"""Nothing is between the bracket of an address and the port: urlsplit reads one in `[::1].example.com`."""


def check_redirect_uri(uri: str, schemes: Collection[str] = DEFAULT_SCHEMES) -> None:
    """Raises ValueError, with what was expected, for a URI that may not be registered."""
    parts = _parts(uri)
    if parts.scheme == "https":
        _check_host(parts)
    elif parts.scheme == "http":
        _check_host(parts)
        if not is_loopback_host(parts.hostname or ""):
            raise ValueError("expected https, or http on localhost, 127.0.0.1 or [::1]")
    elif parts.scheme not in schemes or parts.scheme in NEVER:
        raise ValueError("expected https, http on a loopback address, or a scheme that the gateway's settings name")
    elif not parts.netloc or parts.username is not None:
        raise ValueError("expected scheme://name/path")


def is_registered(given: str, registered: Iterable[str]) -> bool:
    """Whether `given` is one of these URIs, character by character. The port of a loopback one is free (RFC 8252,
    section 7.3), because an application listens on whichever is free."""
    return any(given == uri or _same_but_for_port(given, uri) for uri in registered)


def is_loopback_host(name: str) -> bool:
    """Whether this host name or address is the machine's own."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def leads_home(uri: str) -> bool:
    """Whether the URI leads to a program on the person's own machine, and not to a page that somebody else made."""
    parts = urlsplit(uri)
    return parts.scheme not in WEB or is_loopback_host(parts.hostname or "")


def shown_host(uri: str) -> str:
    """Where the URI leads, for a person who decides about it."""
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme in WEB else f"{parts.scheme}://{parts.netloc}"


def with_parameters(uri: str, parameters: dict[str, str]) -> str:
    """The URI with parameters behind those that it has (RFC 6749, section 4.1.2)."""
    joint = "" if uri.endswith(("?", "&")) else "&" if "?" in uri else "?"
    return f"{uri}{joint}{urlencode(parameters)}"


def _parts(uri: str) -> SplitResult:
    # urlsplit drops line feeds and tabs and takes a backslash for a part of the host, which browsers do not.
    if len(uri) > LONGEST_URI or _URI.fullmatch(uri) is None:
        raise ValueError(f"expected at most {LONGEST_URI} characters of a URI, without a fragment")
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 # it is this property that finds a malformed port
    except ValueError:
        raise ValueError("expected scheme://host:port/path") from None
    return parts


def _check_host(parts: SplitResult) -> None:
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ValueError("expected no user name in a redirect URI")
    name = parts.hostname or ""
    known = _is_ipv6(name) if parts.netloc.startswith("[") else _NAME.fullmatch(name)
    if not known or not _HOST_AND_PORT.fullmatch(parts.netloc):
        raise ValueError("expected a host name or an address")


def _is_ipv6(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True


def _same_but_for_port(given: str, registered: str) -> bool:
    if not (given.startswith("http://") and registered.startswith("http://")):
        return False
    try:
        check_redirect_uri(given, ())
        mine, theirs = urlsplit(given), urlsplit(registered)
        known = is_loopback_host(theirs.hostname or "")
    except ValueError:
        return False
    return known and (mine.hostname, mine.path, mine.query) == (theirs.hostname, theirs.path, theirs.query)

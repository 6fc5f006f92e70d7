"""URLs that persons are sent to."""

import ipaddress
from urllib.parse import urlsplit

LONGEST_LINK = 2048


def check_link(value: object) -> str:
    """An absolute URL by https, or by http on a loopback address, without user and password, which would disguise its
    host. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("expected a URL")  # a mistake of the value, like those below
    if not 0 < len(value) <= LONGEST_LINK:
        raise ValueError(f"expected a URL of at most {LONGEST_LINK} characters")
    if not all("!" <= character <= "~" for character in value) or "\\" in value:
        raise ValueError("expected a URL in ASCII, without blanks and backslashes")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"expected an absolute URL: {error}") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("expected an absolute https URL")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("expected https; http only on a loopback address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected a URL without user and password")
    return value


def is_loopback(host: str) -> bool:
    """Whether a URL's host (without brackets) is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

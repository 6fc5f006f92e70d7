"""Selects the gateway for an envelope's reports.

The header x-asya-gateway-url names the gateway that created the envelope. Anyone who can publish to a queue can set
that header, so following it unchecked would let them make this pod send requests anywhere (SSRF). It is followed if it
has the origin of ASYA_GATEWAY_URL or one of ASYA_GATEWAY_URL_ALLOWED. If neither is set, it may name a Service of the
cluster (a name without dots, or one that ends in .svc or .svc.cluster.local), never an address.
"""

import ipaddress
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from asya_crds.naming import HEADER_GATEWAY_URL, HEADER_MESH_STATUS
from asya_crds.setting_types import is_host

log = logging.getLogger(__name__)

_PORTS = {"http": 80, "https": 443}
_REMEMBERED = 1000


class GatewayUrls:
    """Returns the base URL, or None if nothing must be reported."""

    def __init__(self, configured: str, allowed: Sequence[str]) -> None:
        self._configured = configured
        self._any = "*" in allowed
        self._origins = {origin for url in (configured, *allowed) if (origin := origin_of(url)) is not None}
        self._warned: set[str] = set()
        self._found: dict[str, str | None] = {}

    def of(self, headers: Mapping[str, Any]) -> str | None:
        """The base URL for an envelope's headers. A header that must not be followed is ignored and logged once."""
        if str(headers.get(HEADER_MESH_STATUS, "")).lower() == "off":
            return None
        named = headers.get(HEADER_GATEWAY_URL)
        if isinstance(named, str) and named:
            if named not in self._found:
                if len(self._found) >= _REMEMBERED:
                    self._found.clear()
                self._found[named] = self._named(named)
            if (found := self._found[named]) is not None:
                return found
            self._warn(named)
        return self._configured or None

    def _named(self, url: str) -> str | None:
        """The base URL for this header; None if it must not be followed."""
        origin = origin_of(url)
        if origin is None or not self._may_follow(origin):
            return None
        # Scheme, host and port only, unless it is the configured URL itself.
        return self._configured if origin == origin_of(self._configured) else _text(origin)

    def _may_follow(self, origin: "Origin") -> bool:
        # Requests to an invalid host name fail with other errors, and would fail as long as the message exists.
        return (origin in self._origins or is_host(origin[1])) and (self._any or self._allows(origin))

    def _allows(self, origin: "Origin") -> bool:
        return origin in self._origins if self._origins else _is_service(origin[1])

    def _warn(self, named: str) -> None:
        if named not in self._warned and len(self._warned) < _REMEMBERED:
            self._warned.add(named)
            log.warning("ignored x-asya-gateway-url %.200r: allow its origin in ASYA_GATEWAY_URL_ALLOWED", named)


Origin = tuple[str, str, int]


def origin_of(url: str) -> Origin | None:
    """Scheme, host and port of an http URL; None if it is not one, or has a user name."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
            return None
        return parts.scheme, parts.hostname.lower(), parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None


def _text(origin: Origin) -> str:
    scheme, host, port = origin
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_service(host: str) -> bool:
    if _is_address(host):
        return False
    labels = host.rstrip(".").split(".")
    # Some resolvers treat 2130706433 and 0x7f000001 as addresses.
    if not labels[-1] or labels[-1][0].isdigit() or "localhost" in labels:
        return False
    return len(labels) == 1 or labels[-1] == "svc" or labels[-3:] == ["svc", "cluster", "local"]

"""Origin and Host checks against web pages that must not call this gateway (DNS rebinding, CSRF)."""

import ipaddress
import re
import socket
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from aiohttp import web

from asya_gateway.protocols.http.errors import HostRefused, OriginRefused
from asya_gateway.settings import Settings

EXPOSED = "Location, Mcp-Session-Id, Preference-Applied, Retry-After, WWW-Authenticate"
LONGEST_HOST = 263
"""A DNS name of 255 characters, with a port (RFC 1035, section 2.3.4)."""
PREFLIGHT_SECONDS = "600"
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HOST = re.compile(r"(\[[0-9a-f:.%]+\]|[^\[\]:@/\s]*)(:[0-9]*)?")
"""A name or address with or without a port (RFC 9110, section 7.2)."""


class Guard:
    """Checks Host and Origin against sets that are built once from the settings."""

    def __init__(self, settings: Settings) -> None:
        allowed = {entry.lower() for entry in settings.allowed_hosts}
        self._any_host = "*" in allowed
        self._suffixes = tuple(entry[1:] for entry in allowed if entry.startswith("*."))
        self._hosts = allowed | own_names(settings)
        self._any_origin = "*" in settings.allowed_origins
        self._origins = {_as_sent(origin) for origin in settings.allowed_origins}
        self._origins |= {_as_sent(origin_of(url)) for url in (settings.public_url, settings.mcp_oauth_issuer) if url}
        # Callers send the same few hosts again and again, and parsing one as an address costs more than the rest of
        # this class.
        self.knows_host = lru_cache(maxsize=256)(self._knows_host)

    def check(self, request: web.BaseRequest) -> None:
        """Raises HostRefused or OriginRefused."""
        host = request.headers.get("Host", "").lower()
        if not request.raw_path.startswith("/"):
            # RFC 9112, section 3.2.2: if the target names a host, that counts, whatever the header says.
            host = request.host.lower()
        if not self._any_host and (len(host) > LONGEST_HOST or not self.knows_host(host)):
            raise HostRefused("this gateway does not serve that host; add it to ASYA_ALLOWED_HOSTS", field="Host")
        origin = request.headers.get("Origin")
        if origin is not None and not self.knows_origin(origin, host):
            raise OriginRefused("pages of this origin may not call; add it to ASYA_ALLOWED_ORIGINS", field="Origin")

    def _knows_host(self, host: str) -> bool:
        """Whether a Host header (lower case, with or without a port) names this gateway.

        Addresses are always accepted: rebinding needs a name, and a page served from our address was served by us.
        """
        if host in self._hosts:
            return True
        if _HOST.fullmatch(host) is None:
            return False
        name = host_name(host)
        return name in self._hosts or is_address(name) or (bool(self._suffixes) and name.endswith(self._suffixes))

    def knows_origin(self, origin: str, host: str) -> bool:
        """Whether pages of `origin` may call. Loopback pages may if the request was sent to a loopback host."""
        origin = _as_sent(origin)
        if self._any_origin or origin in self._origins:
            return True
        parts = split(origin)
        if parts is None or not parts.scheme:
            return False
        return is_loopback(parts.hostname or "") and is_loopback(host_name(host))

    def cors(self, request: web.BaseRequest) -> dict[str, str]:
        """The headers that let a page of an allowed origin read the response (Fetch standard, "CORS protocol")."""
        origin = request.headers.get("Origin")
        if origin is None or not self.knows_origin(origin, request.headers.get("Host", "").lower()):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED, "Vary": "Origin"}

    def preflight(self, request: web.BaseRequest, methods: str) -> dict[str, str]:
        """The response headers for a preflight; empty if the request is not a preflight."""
        if "Access-Control-Request-Method" not in request.headers:
            return {}
        wanted = request.headers.get("Access-Control-Request-Headers")
        headers = {"Access-Control-Allow-Headers": wanted} if wanted else {}
        return {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Max-Age": PREFLIGHT_SECONDS,
            **headers,
        }


def own_names(settings: Settings) -> set[str]:
    """The names of this pod and its Services."""
    hosts = {"localhost", socket.gethostname().lower(), settings.pod_name.lower()}
    for service in ("asya-gateway-api", "asya-gateway-mesh"):
        scoped = f"{service}.{settings.namespace}"
        hosts |= {service, scoped, f"{scoped}.svc", f"{scoped}.svc.cluster.local"}
    for url in (settings.public_url, settings.mesh_url, settings.mcp_oauth_issuer):
        parts = split(url)
        if parts is not None and parts.hostname:
            hosts.add(parts.hostname.lower())
    return hosts


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, in the form of an Origin header."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _as_sent(origin: str) -> str:
    """An origin as browsers send it: without the port that its scheme has anyway (RFC 6454, section 6.2)."""
    origin = origin.lower().rstrip("/")
    scheme, _, _ = origin.partition("://")
    return origin.removesuffix(DEFAULT_PORTS.get(scheme, ""))


def split(url: str) -> SplitResult | None:
    """The parts of a URL; None if it is not a URL."""
    try:
        parts = urlsplit(url)
        parts.hostname  # noqa: B018 # it is this property that finds a malformed host
    except ValueError:
        return None
    return parts


def host_name(host: str) -> str:
    """The name in a Host header, without the port and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_address(name: str) -> bool:
    """Whether this is an IP address that a server can listen on."""
    try:
        return not ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False


def is_loopback(name: str) -> bool:
    """Whether this names the machine itself."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

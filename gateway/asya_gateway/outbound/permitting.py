"""Which targets a request may reach (pure): settings of the operator, and the rule for everybody else's URLs."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_network

from yarl import URL

from asya_gateway.outbound.addresses import Address, Network, address_of, is_never_reached, is_public
from asya_gateway.outbound.errors import AddressRefused, TargetRefused

HTTPS = "expected https; http only to what ASYA_OUTBOUND_ALLOW lists"
LONGEST_URL = 2048
LONGEST_LABEL = 63
"""Most characters between two dots of a name (RFC 1035, section 2.3.4)."""


class Reach(Enum):
    """Which addresses the sockets of a request may connect to."""

    PUBLIC = auto()
    """Public addresses, and listed networks: https URLs of callers."""
    LISTED = auto()
    """Listed networks alone: http URLs of callers."""
    NAMED = auto()
    """Every address except those that are never reached: a host that the operator named."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a URL. An operator's URL permits requests to its own origin."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: URL) -> "Origin":
        """The origin of an absolute URL."""
        return cls(url.scheme, host_of(url), url.port)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The targets that ASYA_OUTBOUND_ALLOW opens, by http too."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Allowed":
        """Networks (`10.1.0.0/16`, `10.1.2.3`) and host names (`issuer.example.com`, `*.example.com`)."""
        networks, hosts = [], set()
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                hosts.add(_plain(entry))
        return cls(tuple(networks), frozenset(hosts))

    def names(self, host: str) -> bool:
        """Whether the host is listed by its name, or by the domain that it is in."""
        parts = host.split(".")
        return host in self.hosts or any("*." + ".".join(parts[at:]) in self.hosts for at in range(1, len(parts)))

    def contains(self, address: Address) -> bool:
        """Whether the address is in a listed network."""
        return any(address.version == network.version and address in network for network in self.networks)


def permits(reach: Reach, address: Address, allowed: Allowed) -> bool:
    """Whether a socket may connect to this address."""
    if is_never_reached(address):
        return False
    match reach:
        case Reach.NAMED:
            return True
        case Reach.LISTED:
            return allowed.contains(address)
        case Reach.PUBLIC:
            return is_public(address) or allowed.contains(address)


def checked_url(text: str) -> URL:
    """The parsed URL. Raises TargetRefused unless it is an absolute http(s) URL without user and with a usable host."""
    if len(text) > LONGEST_URL or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise TargetRefused(f"expected a URL of at most {LONGEST_URL} visible ASCII characters")
    try:
        url = URL(text)
        usable = url.absolute and url.scheme in ("http", "https") and bool(url.host) and bool(url.port)
    except ValueError:
        raise TargetRefused("expected an absolute https URL") from None
    if not usable or not _is_host(url.raw_host or ""):
        raise TargetRefused("expected an absolute https URL")
    if url.user is not None or url.password is not None:
        raise TargetRefused("expected a URL without user and password")
    return url.with_fragment(None)


def reach_of(url: URL, permission: Origin | None, allowed: Allowed) -> Reach:
    """Raises TargetRefused for http that nothing permits."""
    if allowed.names(host_of(url)) or (permission is not None and Origin.of(url) == permission):
        return Reach.NAMED
    if url.scheme == "https":
        return Reach.PUBLIC
    if not allowed.networks:
        raise TargetRefused(HTTPS)
    return Reach.LISTED


def check_without_lookup(url: URL, reach: Reach, allowed: Allowed) -> None:
    """For a request that a proxy resolves: refuse what can be known from the URL alone. Raises TargetRefused."""
    host = host_of(url)
    address = address_of(host)
    if address is not None:
        if not permits(reach, address, allowed):
            raise AddressRefused
    elif reach is Reach.LISTED:
        raise TargetRefused(HTTPS)
    elif reach is Reach.PUBLIC and _is_local_name(host):
        raise TargetRefused("its host is a name of a local network, which ASYA_OUTBOUND_ALLOW does not list")


def host_of(url: URL) -> str:
    """The host in lower case, without the dot at the end that means the root."""
    return _plain(url.host or "")


def authority_of(url: URL) -> str:
    """Host and port, always with a port: the same text for every spelling of one target."""
    host = host_of(url)
    return f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"


def _is_host(host: str) -> bool:
    """Whether it can be looked up: a name, or an address without the scope of a link (such addresses are never
    reached)."""
    if "%" in host:
        return False
    if ":" in host:
        return address_of(host) is not None
    return all(1 <= len(label) <= LONGEST_LABEL for label in _plain(host).split("."))


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _is_local_name(host: str) -> bool:
    *domain, top = host.split(".")
    return not domain or top in ("localhost", "local", "internal") or not top or top[0].isdigit()

"""Where requests come from: the connection's peer, or what proxies that are trusted say of it."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from aiohttp import web
from aiohttp.web import AppKey

FORWARDED_FOR = "X-Forwarded-For"
MOST_HOPS = 32
"""Entries of X-Forwarded-For that are looked at, from the nearest."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The proxies whose X-Forwarded-For is believed; nobody's by default, since every client can send the header."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(each) for each in networks]

    def source_of(self, request: web.BaseRequest) -> str:
        """The address of the client. Behind trusted proxies it is the last address in X-Forwarded-For that is not one
        of theirs: the entries before it are what the client itself has sent."""
        peer = request.remote or ""
        if not self._networks or not self._trusted(peer):
            return peer
        said = ",".join(request.headers.getall(FORWARDED_FOR, []))
        hops = [hop.strip() for hop in said.rsplit(",", MOST_HOPS)]
        for hop in reversed(hops[-MOST_HOPS:]):
            address = _address(hop)
            if address is None:
                break
            peer = str(address)
            if not self._trusted(peer):
                break
        return peer

    def _trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._networks)


PROXIES = AppKey("PROXIES", Proxies)


def source_of(request: web.Request) -> str:
    """The address of the client, as the process's proxies tell it."""
    return request.app[PROXIES].source_of(request)


@lru_cache(maxsize=4096)
def network_of(source: str) -> str:
    """By what a source is counted: an IPv4 address itself, an IPv6 address by its network, because a subscriber has at
    least a /64. Cached, because the same few sources ask again and again, and reading one costs more than the rest."""
    address = _address(source)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return source


def _address(text: str) -> Address | None:
    """An address, also with a port or in brackets, as some proxies write it; None if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None:
        # The name of an interface has a meaning on the proxy alone, and may be any text.
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found

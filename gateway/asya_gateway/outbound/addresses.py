"""Which addresses are public, and which may never be reached (pure).

Source: the IANA registries of special-purpose addresses (RFC 6890), read on 2026-11. They are written out here, since
`ipaddress.is_global` differs between versions of Python and says nothing about transition mechanisms.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL_V4 = tuple(
    IPv4Network(each)
    for each in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers and clusters
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
"""Every other IPv6 address is local, multicast, reserved or a form of an IPv4 address."""
_SPECIAL_V6 = tuple(
    IPv6Network(each)
    for each in (
        "2001::/23",  # protocol assignments: Teredo (2001::/32), ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_NEVER = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local: metadata of AWS, Azure, Google Cloud and others, and credentials of pods
        "100.100.100.200/32",  # metadata of Alibaba Cloud
        "168.63.129.16/32",  # the host of an Azure machine, a public address
        "192.0.0.192/32",  # metadata of Oracle Cloud, older form
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fd00:ec2::/32",  # metadata and credentials of AWS
        "fd20:ce::/32",  # metadata of Google Cloud
        "fe80::/10",
        "ff00::/8",
    )
)
_TEREDO, _SIX_TO_FOUR = IPv6Network("2001::/32"), IPv6Network("2002::/16")
_IPV4_AT_THE_END = tuple(
    IPv6Network(each)
    for each in (
        "::/96",  # compatible (RFC 4291)
        "::ffff:0:0/96",  # mapped (RFC 4291)
        "::ffff:0:0:0/96",  # translated (RFC 2765)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # NAT64 in a local network (RFC 8215)
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)
"""Third quarter of an address of ISATAP (RFC 5214); the last quarter is an IPv4 address."""


def address_of(text: str) -> Address | None:
    """The address that this text is, with or without the scope of a link; None for a name."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether the address is of the public internet. An IPv6 address that stands for an IPv4 address is not, whatever
    that is."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    if address not in _GLOBAL_V6 or any(address in network for network in _SPECIAL_V6):
        return False
    return not _is_isatap(address)


def is_never_reached(address: Address) -> bool:
    """Whether no setting opens this address: metadata services, other link-local addresses, multicast, unspecified
    ones, and each of these inside an IPv6 address."""
    return any(form in network for form in (address, *_inner(address)) for network in _NEVER)


def _inner(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that this address stands for."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if number > 1 and any(address in network for network in _IPV4_AT_THE_END):
        yield IPv4Address(number & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    if address in _TEREDO:
        yield IPv4Address(~number & 0xFFFFFFFF)
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)
    if _is_isatap(address):
        yield IPv4Address(number & 0xFFFFFFFF)


def _is_isatap(address: IPv6Address) -> bool:
    return int(address) >> 32 & 0xFFFFFFFF in _ISATAP

"""Which addresses a request may reach, over all addresses."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.outbound.addresses import Address, address_of, is_never_reached, is_public
from asya_gateway.outbound.permitting import Allowed, Reach, permits

NOTHING = Allowed()
EVERYTHING = Allowed.of(["0.0.0.0/0", "::/0"])

PRIVATE = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "172.16.0.1", "172.31.255.255", "192.0.0.8",
    "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "100::1", "5f00::1", "2001:db8::1", "3fff::1",
    "2001::1", "2001:2::1", "2001:10::1", "2001:20::1",
]  # fmt: skip
METADATA = [
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.1", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::1", "fe80::a9fe:a9fe",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.0.3.1", "2606:4700::1111",
          "2a00:1450:4001::200e", "2003::1", "2620:4f:8000::1"]  # fmt: skip

IPV4 = st.integers(0, 2**32 - 1).map(IPv4Address)
NETWORKS = [
    IPv4Network(each)
    for each in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                 "192.168.0.0/16", "224.0.0.0/3")
]  # fmt: skip
LOCAL_IPV4 = st.sampled_from(NETWORKS).flatmap(
    lambda net: st.integers(0, net.num_addresses - 1).map(lambda offset: net[offset])
)
ANY_IPV4 = st.one_of(IPV4, LOCAL_IPV4)
SPECIAL_IPV6 = st.sampled_from(
    ["2001::/32", "2002::/16", "64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0/96", "::/96", "fc00::/7", "fe80::/10",
     "ff00::/8", "2001:db8::/32", "2000::/3"]
).map(IPv6Network)  # fmt: skip
IPV6 = st.one_of(
    st.integers(0, 2**128 - 1).map(IPv6Address),
    SPECIAL_IPV6.flatmap(lambda net: st.integers(0, net.num_addresses - 1).map(lambda offset: net[offset])),
)
ADDRESSES = st.one_of(ANY_IPV4, IPV6)


def written_as_ipv6(inner: IPv4Address) -> list[IPv6Address]:
    """Every form in which an IPv6 address stands for this IPv4 address."""
    number, client = int(inner), ~int(inner) & 0xFFFFFFFF
    return [
        IPv6Address(number),
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0xFFFF << 48 | number),
        IPv6Address(int(IPv6Address("64:ff9b::")) | number),
        IPv6Address(int(IPv6Address("64:ff9b:1::")) | number),
        IPv6Address(0x2002 << 112 | number << 80 | 1),
        IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | client),
        IPv6Address(0x20010000 << 96 | number << 64 | 0x08080808),
        IPv6Address(int(IPv6Address("2606:4700::5efe:0:0")) | number),
        IPv6Address(int(IPv6Address("2606:4700::200:5efe:0:0")) | number),
    ]


@pytest.mark.parametrize("text", [*PRIVATE, *METADATA])
def test_special_addresses_are_not_public(text: str) -> None:
    assert not permits(Reach.PUBLIC, ip_address(text), NOTHING)


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert permits(Reach.PUBLIC, ip_address(text), NOTHING)


@pytest.mark.parametrize("text", METADATA)
@pytest.mark.parametrize("reach", Reach)
def test_no_setting_opens_metadata_services(text: str, reach: Reach) -> None:
    assert not permits(reach, ip_address(text), EVERYTHING)


@given(ADDRESSES)
def test_a_public_address_is_global_by_the_standard_library_too(address: Address) -> None:
    if is_public(address):
        assert address.is_global
        special = ("is_private", "is_multicast", "is_reserved", "is_unspecified", "is_loopback", "is_link_local")
        assert not any(getattr(address, each) for each in special)


@given(ANY_IPV4)
def test_an_ipv4_address_in_an_ipv6_address_is_never_public(inner: IPv4Address) -> None:
    assert not any(is_public(outer) for outer in written_as_ipv6(inner))


@pytest.mark.parametrize("text", [each for each in METADATA if ":" not in each])
@pytest.mark.parametrize("form", range(10))
def test_no_setting_opens_metadata_services_by_way_of_ipv6(text: str, form: int) -> None:
    assert not permits(Reach.NAMED, written_as_ipv6(IPv4Address(text))[form], EVERYTHING)


@given(ADDRESSES)
def test_callers_reach_public_addresses_and_listed_networks_and_nothing_else(address: Address) -> None:
    listed = Allowed.of(["10.0.0.0/8", "fc00::/7"])
    inside = (address in IPv4Network("10.0.0.0/8")) or (address in IPv6Network("fc00::/7"))
    never = is_never_reached(address)
    assert permits(Reach.PUBLIC, address, listed) == ((is_public(address) or inside) and not never)
    assert permits(Reach.LISTED, address, listed) == (inside and not never)
    assert permits(Reach.NAMED, address, listed) == (not never)


@given(ADDRESSES)
def test_an_address_is_read_from_the_text_that_a_socket_gets(address: Address) -> None:
    assert address_of(str(address)) == address


def test_the_scope_of_a_link_makes_no_other_address() -> None:
    assert address_of("fe80::1%eth0") == ip_address("fe80::1")
    assert address_of("asya.example.com") is None

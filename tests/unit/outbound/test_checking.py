"""A URL is refused before any request if no request may reach it, however its address is written or found."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.outbound.addresses import is_public
from asya_gateway.outbound.client import OutboundClient
from asya_gateway.outbound.errors import NameNotReached, TargetRefused
from asya_gateway.outbound.permitting import Allowed
from tests.support.names import Names

PRIVATE_V4 = st.sampled_from(["10.0.0.0", "127.0.0.0", "169.254.0.0", "172.16.0.0", "192.168.0.0", "100.64.0.0"])
INSIDE = st.builds(lambda start, more: IPv4Address(start) + more, PRIVATE_V4, st.integers(1, 65_534))
FORMS = ["::ffff:0:0", "64:ff9b::", "2002::", "::"]


def written(address: IPv4Address, form: str) -> IPv6Address:
    """An IPv6 address that stands for the IPv4 address."""
    shift = 80 if form == "2002::" else 0
    return IPv6Address(int(IPv6Address(form)) | int(address) << shift)


async def refused(client: OutboundClient, url: str) -> bool:
    try:
        await client.check(url)
    except (TargetRefused, NameNotReached):
        return True
    return False


@given(address=INSIDE, form=st.sampled_from(FORMS), port=st.integers(1, 65_535))
async def test_no_private_address_is_accepted_however_it_is_written(address: IPv4Address, form: str, port: int) -> None:
    client = OutboundClient()
    for host in (str(address), str(int(address)), hex(int(address)), f"[{written(address, form)}]"):
        # A number is no address to us, and its lookup gives one that is refused.
        named = OutboundClient(resolver=Names([str(address)]))
        assert await refused(named, f"https://{host}:{port}/hook"), host
    assert await refused(client, f"http://{address}/")


@given(st.ip_addresses())
async def test_a_name_is_judged_by_its_addresses(address: Any) -> None:
    client = OutboundClient(resolver=Names([str(address)]))
    assert await refused(client, "https://receiver.example/") is not is_public(address)


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("https://mixed.example/", False),
        ("https://unknown.example/", True),
        ("http://receiver.example/", True),
        ("ftp://receiver.example/", True),
        ("https://user@receiver.example/", True),
        ("https://receiver.example/\r\nX: y", True),
        ("https:///path", True),
    ],
)
async def test_a_name_that_has_no_good_address_now_is_refused(url: str, is_refused: bool) -> None:
    found = [] if "unknown" in url else ["10.0.0.1", "93.184.216.34"]
    assert await refused(OutboundClient(resolver=Names(found)), url) is is_refused


async def test_a_name_that_the_resolver_cannot_write_is_refused() -> None:
    names = Names(["93.184.216.34"])
    names.error = UnicodeError("label too long")
    assert await refused(OutboundClient(resolver=names), "https://receiver.example/")


async def test_what_the_operator_lists_is_accepted_and_metadata_never() -> None:
    client = OutboundClient(Allowed.of(["10.0.0.0/8", "169.254.0.0/16"]))
    assert not await refused(client, "http://10.1.2.3:8080/hook")
    assert await refused(client, "http://169.254.169.254/")
    assert await refused(client, "http://192.168.0.1/")


async def test_behind_a_proxy_a_url_is_judged_by_its_text() -> None:
    names = Names(["10.0.0.1"])
    client = OutboundClient(proxy="http://proxy.example:3128", resolver=names)
    assert not await refused(client, "https://receiver.example/")
    assert await refused(client, "https://receiver.internal/")
    assert names.lookups == []

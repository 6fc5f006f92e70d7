"""Where requests come from."""

import pytest
from aiohttp.test_utils import make_mocked_request

from asya_gateway.protocols.http.sources import Proxies


def source(peer: str, *forwarded: str, trusted: tuple[str, ...] = ("10.0.0.0/8", "fd00::/8")) -> str:
    headers = [("X-Forwarded-For", each) for each in forwarded]
    request = make_mocked_request("GET", "/", headers=headers)
    return Proxies(trusted).source_of(request.clone(remote=peer))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", ("198.51.100.7",), "192.0.2.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.7, 10.0.0.2",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9", "198.51.100.7, 10.0.0.2"), "198.51.100.7"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("198.51.100.7:4711",), "198.51.100.7"),
        ("10.0.0.1", ("[2001:db8::7]:4711",), "2001:db8::7"),
        ("fd00::1", ("2001:db8::7",), "2001:db8::7"),
        ("::ffff:10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.9, nonsense, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ("unix:",), "10.0.0.1"),
        ("10.0.0.1", ("fe80::1%eth0",), "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_say_where_a_request_comes_from(
    peer: str, forwarded: tuple[str, ...], expected: str
) -> None:
    assert source(peer, *forwarded) == expected


def test_nobody_is_believed_by_default() -> None:
    assert source("10.0.0.1", "198.51.100.7", trusted=()) == "10.0.0.1"


def test_a_header_of_any_length_is_looked_at_in_bounded_time() -> None:
    assert source("10.0.0.1", ", ".join(["10.0.0.2"] * 1000)) == "10.0.0.2"

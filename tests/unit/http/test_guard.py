"""Who may call: Host against DNS rebinding, Origin against pages that should not."""

import pytest
from aiohttp.test_utils import make_mocked_request

from asya_gateway.protocols.http.errors import HostRefused, OriginRefused
from asya_gateway.protocols.http.guard import Guard
from tests.support.gateway import make_settings


def _guard(**settings: object) -> Guard:
    values: dict[str, object] = {
        "namespace": "prod",
        "pod_name": "api-7f9c",
        "public_url": "https://asya.example.com",
        "mesh_url": "http://mesh.internal:8080",
    }
    return Guard(make_settings(**(values | settings)))


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
        "10.2.3.4:8080",
        "api-7f9c",
        "asya-gateway-mesh.prod.svc.cluster.local:8080",
        "asya-gateway-api",
        "asya.example.com",
        "mesh.internal:8080",
    ],
)
def test_own_names_and_addresses_are_hosts(host: str) -> None:
    _guard().check(make_mocked_request("GET", "/tasks", headers={"Host": host}))


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "0.0.0.0:8080", "", "asya.example.com.evil", "[", "x["]
)
def test_other_hosts_are_refused(host: str) -> None:
    with pytest.raises(HostRefused):
        _guard().check(make_mocked_request("GET", "/tasks", headers={"Host": host}))


def test_settings_name_more_hosts() -> None:
    guard = _guard(allowed_hosts="gw.example, *.inner.example")
    assert guard.knows_host("gw.example:80")
    assert guard.knows_host("a.inner.example")
    assert not guard.knows_host("inner.example.evil")
    assert _guard(allowed_hosts="*").knows_host("whatever") is False
    _guard(allowed_hosts="*").check(make_mocked_request("GET", "/", headers={"Host": "whatever"}))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:3000", "localhost:8080"),
        ("http://127.0.0.1:6274", "127.0.0.1:8080"),
        ("http://[::1]:6274", "localhost"),
        ("https://asya.example.com", "asya.example.com"),
        ("https://app.example", "asya.example.com"),
    ],
)
def test_pages_of_known_origins_may_call(origin: str, host: str) -> None:
    guard = _guard(allowed_origins="https://app.example/")
    guard.check(make_mocked_request("POST", "/tools/call", headers={"Host": host, "Origin": origin}))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "localhost:8080"),
        ("http://localhost.evil.example", "localhost"),
        ("http://localhost:3000", "asya.example.com"),
        ("http://asya.example.com", "asya.example.com"),
        ("null", "localhost"),
        ("http://[", "localhost"),
        ("localhost", "localhost"),
    ],
)
def test_other_pages_are_refused(origin: str, host: str) -> None:
    with pytest.raises(OriginRefused):
        _guard().check(make_mocked_request("POST", "/tools/call", headers={"Host": host, "Origin": origin}))


def test_an_origin_is_known_with_and_without_the_default_port_of_its_scheme() -> None:
    """RFC 6454, section 6.2: "If the port part of the origin triple is different than the default port for the protocol
    given by the scheme part of the origin triple: [...] Append the port"."""
    guard = _guard(
        allowed_origins="https://app.example:443,http://plain.example:80", public_url="https://asya.example.com:443"
    )
    for origin in (
        "https://app.example",
        "http://plain.example",
        "https://asya.example.com",
        "https://app.example:443",
    ):
        assert guard.knows_origin(origin, "asya.example.com"), origin
    for origin in (
        "https://app.example:80",
        "http://app.example",
        "https://app.example:4443",
        "http://plain.example:443",
    ):
        assert not guard.knows_origin(origin, "asya.example.com"), origin


def test_every_origin_may_call_where_the_settings_say_so() -> None:
    assert _guard(allowed_origins="*").knows_origin("https://evil.example", "localhost")


def test_the_issuer_of_our_own_tokens_is_known() -> None:
    """Clients reach the gateway there, and the page of consent sends its form from there."""
    known = _guard(mcp_oauth_issuer="https://oauth.example.org:8443")
    assert known.knows_host("oauth.example.org")
    assert known.knows_origin("https://oauth.example.org:8443", "oauth.example.org:8443")
    assert not known.knows_origin("https://oauth.example.org", "oauth.example.org")

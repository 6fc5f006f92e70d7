"""Which URLs a request may have, before any name is looked up."""

import logging

import pytest
from yarl import URL

from asya_gateway.outbound.client import operators_url
from asya_gateway.outbound.errors import TargetRefused
from asya_gateway.outbound.permitting import (
    Allowed,
    Origin,
    Reach,
    authority_of,
    check_without_lookup,
    checked_url,
    reach_of,
)

NOTHING = Allowed()
LIST = Allowed.of(["10.0.0.0/8", "issuer.internal.example.com", "*.svc.cluster.local"])


@pytest.mark.parametrize(
    "text",
    [
        "", "issuer", "/jwks", "//issuer/jwks", "ftp://issuer/jwks", "file:///etc/passwd", "data:text/plain,x", "https://",
        "https:///jwks", "https://a:port/", "https://a:0/", "https://a:70000/", "https://user@a/", "https://u:p@a/",
        "https://a b/", "https://a\\@b/", "https://a/\r\nx", "https://a/\x00", "https://ä.example/", "https://[::1/",
        "https://" + "a" * 2100, "javascript:alert(1)", "gopher://a:1/", "unix:///run/x", "https://?x", "https://#",
        "https://a..b/", "https://.a/", "https://./", "https://a../", f"https://{'a' * 64}.example/", "https://a%00b/",
        "https://[zz::1]/", "https://[2606:4700::1%]/", "https://[2606:4700::1%25eth0]/", "https://[v1.a:b]/",
    ],
)  # fmt: skip
def test_odd_urls_are_refused(text: str) -> None:
    with pytest.raises(TargetRefused):
        checked_url(text)


@pytest.mark.parametrize(
    ("texts", "authority"),
    [
        (
            ["https://a.example", "https://A.example.", "https://a.example:443", "https://a.example:0443"],
            "a.example:443",
        ),
        (["https://[2606:4700::1]", "https://[2606:4700:0::0001]:443"], "[2606:4700::1]:443"),
        (["https://a.example:8443/x", "https://a.example.:08443/y?z"], "a.example:8443"),
    ],
    ids=["name", "address", "port"],
)
def test_every_spelling_of_a_target_has_one_authority(texts: list[str], authority: str) -> None:
    assert {authority_of(checked_url(text)) for text in texts} == {authority}


def test_callers_need_https() -> None:
    assert reach_of(URL("https://a.example/"), None, NOTHING) is Reach.PUBLIC
    with pytest.raises(TargetRefused, match="https"):
        reach_of(URL("http://a.example/"), None, NOTHING)


def test_listed_networks_take_http_which_the_socket_then_checks() -> None:
    assert reach_of(URL("http://a.example/"), None, LIST) is Reach.LISTED


@pytest.mark.parametrize(
    "host", ["issuer.internal.example.com", "ISSUER.internal.example.com.", "a.b.svc.cluster.local"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_listed_hosts_are_reached_by_either_scheme(scheme: str, host: str) -> None:
    assert reach_of(URL(f"{scheme}://{host}/x"), None, LIST) is Reach.NAMED


@pytest.mark.parametrize(
    "host", ["internal.example.com", "x.issuer.internal.example.com", "svc.cluster.local", "xsvc.cluster.local"]
)
def test_other_hosts_are_not_listed(host: str) -> None:
    assert reach_of(URL(f"https://{host}/"), None, LIST) is Reach.PUBLIC


def test_an_operators_url_permits_its_own_scheme_host_and_port_alone() -> None:
    own = Origin.of(URL("https://issuer.example:8443/jwks"))
    assert reach_of(URL("https://issuer.example:8443/other"), own, NOTHING) is Reach.NAMED
    for other in (
        "https://issuer.example/jwks",
        "https://issuer.example.evil:8443/",
        "https://sub.issuer.example:8443/",
    ):
        assert reach_of(URL(other), own, NOTHING) is Reach.PUBLIC
    with pytest.raises(TargetRefused):
        reach_of(URL("http://issuer.example:8443/jwks"), own, NOTHING)


def test_http_in_an_operators_setting_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert operators_url("http://issuer.example/jwks", "ASYA_A2A_JWT_JWKS_URL") == Origin(
            "http", "issuer.example", 80
        )
        assert operators_url("https://issuer.example/", "OTHER") == Origin("https", "issuer.example", 443)
    assert len(caplog.records) == 1
    assert "ASYA_A2A_JWT_JWKS_URL" in caplog.text


@pytest.mark.parametrize(
    "host",
    ["localhost", "a.localhost", "metadata.google.internal", "printer.local", "postgres", "127.1", "0x7f.1",
     "2130706433", "127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "a.1"],
)  # fmt: skip
def test_names_and_addresses_of_the_local_network_are_not_handed_to_a_proxy(host: str) -> None:
    with pytest.raises(TargetRefused):
        check_without_lookup(checked_url(f"https://{host}/"), Reach.PUBLIC, NOTHING)


def test_public_hosts_and_the_operators_are_handed_to_a_proxy() -> None:
    check_without_lookup(URL("https://client.example.com/"), Reach.PUBLIC, NOTHING)
    check_without_lookup(URL("https://1.1.1.1/"), Reach.PUBLIC, NOTHING)
    check_without_lookup(URL("https://keycloak/"), Reach.NAMED, NOTHING)
    with pytest.raises(TargetRefused, match="https"):
        check_without_lookup(URL("http://client.example.com/"), Reach.LISTED, LIST)

"""Which gateway a report goes to, and which header is not followed."""

import pytest

from asya_actor.mesh.urls import GatewayUrls

CONFIGURED = "http://mesh.internal:8080/base"


def of(header: object, configured: str = CONFIGURED, allowed: tuple[str, ...] = ()) -> str | None:
    return GatewayUrls(configured, allowed).of({"x-asya-gateway-url": header})


def test_without_a_header_the_configured_one_counts() -> None:
    assert GatewayUrls(CONFIGURED, ()).of({}) == CONFIGURED
    assert GatewayUrls("", ()).of({}) is None


@pytest.mark.parametrize("value", ["off", "OFF"])
def test_mesh_status_off_reports_nothing(value: str) -> None:
    """`x-asya-mesh-status: "off"` in an envelope suppresses reporting."""
    assert GatewayUrls(CONFIGURED, ()).of({"x-asya-mesh-status": value}) is None


@pytest.mark.parametrize(
    "header", ["http://169.254.169.254/latest", "http://evil.example", "http://mesh.internal:9090", "ftp://x", 5, "", "http://mesh.internal:8080@evil.example"]
)  # fmt: skip
def test_another_origin_is_not_followed(header: object) -> None:
    assert of(header) == CONFIGURED


def test_the_same_origin_is_the_configured_url_and_an_allowed_one_is_followed_by_its_origin() -> None:
    assert of("http://MESH.internal:8080/other") == CONFIGURED
    assert (
        of("https://second.example/some/path?x=1", allowed=("https://second.example",)) == "https://second.example:443"
    )
    assert of("http://anything.example", allowed=("*",)) == "http://anything.example:80"


@pytest.mark.parametrize(
    ("header", "followed"),
    [
        ("http://asya-gateway-mesh:8080", "http://asya-gateway-mesh:8080"),
        ("http://asya-gateway-mesh.prod.svc:8080/x", "http://asya-gateway-mesh.prod.svc:8080"),
        ("http://mesh.prod.svc.cluster.local", "http://mesh.prod.svc.cluster.local:80"),
        ("http://10.0.0.1", None),
        ("http://[::1]:8080", None),
        ("http://2130706433", None),
        ("http://0x7f000001", None),
        ("http://localhost:9090", None),
        ("http://metadata.google.internal", None),
        ("http://svc.evil.example", None),
        ("http://a.b.svc.evil.example", None),
    ],
)
def test_with_nothing_configured_only_services_of_the_cluster_are_followed(header: str, followed: str | None) -> None:
    assert of(header, configured="") == followed


@pytest.mark.parametrize("allowed", [(), ("*",)])
@pytest.mark.parametrize(
    "host",
    ["a" * 64, "a..b.svc", ".svc", "\u2024.svc", "a b", "a\x00b", "a%2fb", "\ud800", "a\u200bb", "a\\b", "*",
     "\u24dbocalhost", ".".join(["a" * 60] * 5) + ".svc"],
)  # fmt: skip
def test_what_can_be_no_host_is_not_followed(host: str, allowed: tuple[str, ...]) -> None:
    """Some become another name in the resolver (the circled l is `localhost`), at others it fails in its own way."""
    assert of(f"http://{host}", configured="", allowed=allowed) is None


def test_a_configured_host_that_is_no_ascii_is_followed() -> None:
    assert of("http://b\u00fccher.example", configured="http://b\u00fccher.example/x") == "http://b\u00fccher.example/x"

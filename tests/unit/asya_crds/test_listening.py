"""The errors of a program that cannot listen at its configured address."""

import socket

import pytest
from prometheus_client import CollectorRegistry

from asya_actor.telemetry.probes import probes
from asya_crds.listening import CannotListen, listening
from asya_gateway.exposition.server import metrics_server

LONG_LABEL = "a" * 64 + ".example.com"
ELSEWHERE = "192.0.2.1"


@pytest.mark.parametrize("host", [LONG_LABEL, ELSEWHERE, "nowhere.invalid"])
async def test_an_address_that_is_not_of_this_machine_is_a_wrong_value_with_the_variables_name(host: str) -> None:
    with pytest.raises(CannotListen, match="ASYA_METRICS_HOST: expected an address of this machine") as refused:
        async with probes(host, 0, lambda: True):
            pass
    assert refused.value.wrong_value
    with pytest.raises(CannotListen, match="ASYA_GATEWAY_HOST: expected an address of this machine"):
        async with metrics_server(CollectorRegistry(), host, 0):
            pass


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        pytest.param(
            "::", marks=pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
        ),
    ],
)
async def test_a_port_in_use_is_told_with_both_variables_and_is_no_wrong_value(host: str) -> None:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as refused:
            async with metrics_server(CollectorRegistry(), host, port):
                pass
    assert not refused.value.wrong_value
    assert (
        str(refused.value)
        == f"ASYA_METRICS_PORT (at ASYA_GATEWAY_HOST): port {port} of {host} is in use by another program"
    )


def test_a_port_that_this_user_may_not_have_is_a_wrong_value() -> None:
    with (
        pytest.raises(CannotListen, match="ASYA_GATEWAY_PORT: this user may not listen to port 80") as refused,
        listening(("ASYA_GATEWAY_HOST", "127.0.0.1"), ("ASYA_GATEWAY_PORT", 80)),
    ):
        raise PermissionError(13, "permission denied")
    assert refused.value.wrong_value

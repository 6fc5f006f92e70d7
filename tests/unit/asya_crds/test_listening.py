"""Where programs listen, and the errors of one that cannot listen at its configured address."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from asya_actor.telemetry.probes import probes
from asya_crds.listening import CannotListen, listening
from asya_gateway.exposition.server import metrics_server
from asya_operator.domain.health import Health
from asya_operator.metrics import OperatorMetrics
from asya_operator.probes import serve_probes

LONG_LABEL = "a" * 64 + ".example.com"
ELSEWHERE = "192.0.2.1"


@asynccontextmanager
async def operators_probes(host: str) -> AsyncIterator[int]:
    runner, port = await serve_probes(Health(), OperatorMetrics(), host, 0)
    try:
        yield port
    finally:
        await runner.cleanup()


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[int | None]]] = {
    "worker": lambda: probes("::", 0, lambda: True),
    "metrics of a gateway": lambda: metrics_server(CollectorRegistry(), "::", 0),
    "operator": lambda: operators_probes("::"),
}


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("name", SERVERS)
async def test_a_program_that_listens_to_every_address_answers_both_families(name: str) -> None:
    """The gateway's own port: tests/integration/http/test_starting.py."""
    async with SERVERS[name]() as port, aiohttp.ClientSession() as session:
        for host in ("127.0.0.1", "[::1]"):
            async with session.get(f"http://{host}:{port}/metrics") as response:
                assert response.status == 200, host


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

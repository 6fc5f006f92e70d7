"""schemathesis holds the operator's routes against what /openapi.json says of them."""

import asyncio
from pathlib import Path

import pytest

from asya_gateway.composition.program import Gateway
from asya_gateway.composition.web import serve
from tests.support.gateway import make_settings
from tests.support.schemathesis import complaints

CONFIG = """
[[operations]]
# An epoch is valid only where it is the newest one, which no schema can say.
include-name = "POST /mesh/config-reload"
checks.positive_data_acceptance.expected-statuses = ["2xx", 409]

[[operations]]
include-name = "POST /mesh/registry/heartbeat"
checks.positive_data_acceptance.expected-statuses = ["2xx", 409]
"""


@pytest.mark.timeout(600)
async def test_the_registry_routes_keep_what_they_describe(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who asks for a generation that never comes waits a minute, which says nothing of the answer.
    monkeypatch.setattr("asya_gateway.protocols.mesh.registry_routes.MAX_WAIT", 0.5)
    gateway = Gateway(make_settings(database_url=database_url, metrics_port=0))
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    served = asyncio.create_task(serve(gateway.web(), gateway.running(), stop, port.set_result))
    try:
        url = f"http://127.0.0.1:{await port}"
        only = ("--include-path-regex", "/mesh/(registry|config-reload)|/health/flows")
        said = await complaints(url, tmp_path, CONFIG, *only)
        assert not said, said
    finally:
        stop.set()
        await served

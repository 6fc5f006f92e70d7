"""kubectl apply, and a second later the tool is there: real gateways, a real operator, a real API server."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from servers.control_plane import ControlPlane
from servers.gateway_process import GatewayProcess
from servers.operator_process import wait_for
from tests.kubernetes.conftest import StartOperator
from tests.kubernetes.test_registry import Cluster, configmap, flow

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


class StartGateway(Protocol):
    """Start a gateway on the test's database; it ends with the test."""

    def __call__(self, mode: str, **settings: str) -> GatewayProcess: ...


@pytest.fixture
def start_gateway(database_url: str, tmp_path: Path) -> Iterator[StartGateway]:
    """Gateways as processes."""
    running: list[GatewayProcess] = []

    def start(mode: str, **settings: str) -> GatewayProcess:
        gateway = GatewayProcess(mode, database_url, tmp_path / f"gateway-{len(running)}.log", **settings)
        running.append(gateway)
        return gateway

    yield start
    for gateway in running:
        gateway.stop()
        print(f"--- {gateway.name}\n{gateway.log.read_text(errors='replace')[-4000:]}")


class Installation:
    """A mesh, api processes and an operator."""

    def __init__(self, start_gateway: StartGateway, start_operator: StartOperator, apis: int = 1) -> None:
        self.mesh = start_gateway("mesh")
        self.apis = [start_gateway("api") for _ in range(apis)]
        for gateway in (self.mesh, *self.apis):
            wait_for(gateway.ready, f"{gateway.name} ready")
        self.operator = start_operator(mesh_url=self.mesh.url)
        wait_for(self.operator.leading, "a leader")

    def everywhere(self, name: str) -> bool:
        return all(api.serves(name) for api in self.apis)


def test_a_flow_becomes_callable_changes_breaks_is_mended_and_goes(
    control_plane: ControlPlane, namespace: str, start_gateway: StartGateway, start_operator: StartOperator
) -> None:
    system, cluster = Installation(start_gateway, start_operator), Cluster(control_plane, namespace)
    api = system.apis[0]
    assert api.call("shout")[0] == 404
    cluster.apply(flow("shout"))
    wait_for(lambda: api.serves("shout"), "the first successful call")
    cluster.wait_condition("shout", "Programmed", "True")

    cluster.apply(flow("shout", mcp={"inputSchema": SCHEMA}))
    wait_for(lambda: api.call("shout")[0] == 400 or "text" in str(api.call("shout")[1].get("content")), "the change")
    wait_for(lambda: api.call("shout", text="x")[0] == 200, "a call with the new arguments")

    cluster.apply(flow("shout", mcp={"inputSchema": {"type": "array"}}))
    broken = cluster.wait_condition("shout", "Accepted", "False", "Invalid")
    assert 'expected a JSON Schema with "type": "object" at its root' in broken["message"]
    wait_for(lambda: api.call("shout", text="x")[0] == 404, "the broken flow out of service")

    cluster.apply(flow("shout"))
    cluster.wait_condition("shout", "Programmed", "True")
    assert api.serves("shout")
    control_plane.delete("flow", "shout", namespace)
    wait_for(lambda: api.call("shout")[0] == 404, "its end")


def test_a_flow_of_a_name_that_a_broken_configmap_keeps_is_not_called_accepted(
    control_plane: ControlPlane, namespace: str, start_gateway: StartGateway, start_operator: StartOperator
) -> None:
    system, cluster = Installation(start_gateway, start_operator), Cluster(control_plane, namespace)
    strict = "{type: object, required: [text]}"
    entry = f"{{name: shout, entrypoint: a, mcp: {{inputSchema: {strict}}}}}"
    cluster.apply(configmap(f"flows:\n- {entry}\n"))
    wait_for(lambda: system.apis[0].call("shout")[0] == 400, "the ConfigMap's flow, which wants a text")
    cluster.apply(configmap("flows: [\n"))
    wait_for(lambda: "stay in force (shout)" in str(cluster.report().get("problems")), "the report")
    cluster.apply(flow("shout"))
    cluster.wait_condition("shout", "Accepted", "False", "NameConflict")
    assert system.apis[0].call("shout")[0] == 400, "callers get the ConfigMap's"
    cluster.apply(configmap("flows: []\n"))
    cluster.wait_condition("shout", "Programmed", "True")
    assert system.apis[0].serves("shout")


def test_programmed_waits_for_a_pod_that_is_new_and_forgets_one_that_ended(
    control_plane: ControlPlane, namespace: str, start_gateway: StartGateway, start_operator: StartOperator
) -> None:
    system, cluster = Installation(start_gateway, start_operator, apis=2), Cluster(control_plane, namespace)
    cluster.apply(configmap("flows:\n- {name: shout, entrypoint: a, mcp: {}}\n"), flow("other"))
    cluster.wait_condition("other", "Programmed", "True")
    wait_for(lambda: cluster.report().get("programmed"), "the report")
    # A pod that was silent for too long is not waited for; it serves them when it is heard of again.
    wait_for(lambda: system.everywhere("shout"), "shout everywhere")
    wait_for(lambda: system.everywhere("other"), "other everywhere")
    third = start_gateway("api")
    wait_for(third.ready, "the new pod")
    wait_for(lambda: f'pod="{third.name}"' in system.operator.get("/metrics")[1], "the new pod in the metrics")
    cluster.wait_condition("other", "Programmed", "True")
    assert third.serves("shout"), "a pod that is ready serves what is there"
    third.stop()
    wait_for(lambda: f'pod="{third.name}"' not in system.operator.get("/metrics")[1], "the pod's end")
    cluster.wait_condition("other", "Programmed", "True")


def test_from_apply_to_the_first_successful_call_on_every_api_process(
    control_plane: ControlPlane, namespace: str, start_gateway: StartGateway, start_operator: StartOperator
) -> None:
    """The harness of `python -m bench apply`, on a few edits: it proves that edits arrive, not how fast."""
    system, cluster = Installation(start_gateway, start_operator, apis=2), Cluster(control_plane, namespace)
    took: list[float] = []
    for number in range(5):
        name = f"flow-{number}"
        document: dict[str, Any] = flow(name)
        began = time.monotonic()
        cluster.apply(document)
        wait_for(lambda name=name: system.everywhere(name), f"{name} everywhere")  # type: ignore[misc]
        took.append(time.monotonic() - began)
    print(f"apply to first call: median {statistics.median(took) * 1000:.0f} ms, worst {max(took) * 1000:.0f} ms")

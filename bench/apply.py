"""Time from `kubectl apply` of a flow to the first successful call on every api process, and the operator's own
cost."""

import contextlib
import http.client
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Figure, Target, median, percentile
from bench.stage import Stage
from servers.control_plane import ControlPlane, ControlPlaneUnavailable
from servers.gateway_process import GatewayProcess
from servers.operator_process import OperatorProcess, wait_for

APIS = 3
EDITS, QUICK_EDITS = 200, 20
SIZES, QUICK_SIZES = (10, 1000), (10,)
TARGET_MS = 1000.0


def apply(stage: Stage) -> list[Figure]:
    """Edits of one flow among 10 and among 1,000, each from the start of kubectl to the last api process."""
    try:
        plane = ControlPlane()
    except ControlPlaneUnavailable as reason:
        stage.say(f"  left out: {reason}")
        return []
    try:
        plane.start()
        plane.kubectl("apply", "-k", str(stage.tree / "crds"))
        plane.kubectl("apply", "-f", str(stage.tree / "crds" / "async-actor" / "async-actor.yaml"))
        plane.kubectl("wait", "--for=condition=Established", "crd/flows.asya.sh", "crd/asyncactors.asya.sh")
        sizes = QUICK_SIZES if stage.effort.quick else SIZES
        return [figure for size in sizes for figure in _measure(stage, plane, size)]
    finally:
        plane.close()


def _measure(stage: Stage, plane: ControlPlane, size: int) -> list[Figure]:
    namespace = f"bench-{size}"
    plane.kubectl("create", "namespace", namespace)
    _fill(plane, namespace, size)
    with contextlib.ExitStack() as exits:
        url = exits.enter_context(stage.database())
        mesh = exits.enter_context(_gateway(stage, "mesh", url))
        apis = [exits.enter_context(_gateway(stage, "api", url)) for _ in range(APIS)]
        operator = exits.enter_context(_operator(stage, plane, namespace, mesh))
        for api in apis:
            wait_for(lambda api=api: _served(api, f"flow-{size - 1}"), "every flow", 120)  # type: ignore[misc]
        # Writing the statuses of a thousand new flows is separate work that a single edit does not include.
        wait_for(lambda: _programmed(plane, namespace) == size, "every condition", 300)
        process = psutil.Process(operator.process.pid)
        before = process.cpu_times()
        edits = QUICK_EDITS if stage.effort.quick else EDITS
        took = [_edit(plane, namespace, apis, number) for number in range(edits)]
        after = process.cpu_times()
        cpu = (after.user + after.system - before.user - before.system) / edits
        memory = process.memory_full_info().uss / 1024 / 1024
    plane.kubectl("delete", "namespace", namespace, "--wait=false")
    notes = (
        f"median {median(took):.0f} ms, {edits} edits, {APIS} api processes; the operator: {memory:.0f} MiB, "
        f"{cpu * 1000:.0f} ms of CPU an edit, with {size} flows and {size} actors",
    )
    return [
        Figure(
            name=f"kubectl apply to call, {size} flows, p99",
            value=percentile(took, 0.99),
            unit="ms",
            target=Target(TARGET_MS, most=True),
            notes=notes,
        )
    ]


def _programmed(plane: ControlPlane, namespace: str) -> int:
    """How many flows have a true condition Programmed."""
    flows = plane.request("GET", f"/apis/asya.sh/v1alpha1/namespaces/{namespace}/flows")["items"]
    states = [item for flow in flows for item in flow.get("status", {}).get("conditions", [])]
    time.sleep(0.5)  # listing a thousand flows without pause would be a load of its own
    return sum(1 for item in states if (item["type"], item["status"]) == ("Programmed", "True"))


def _edit(plane: ControlPlane, namespace: str, apis: list[GatewayProcess], number: int) -> float:
    """Milliseconds of one edit. It renames the flow, so that a call by the new name shows when it is served."""
    name = f"edited-{number}"
    document = {**_flow("edited"), "spec": {"entrypoint": "a", "name": name, "mcp": {}}}
    done: list[float] = []
    threads = [threading.Thread(target=_watch, args=(api, name, done)) for api in apis]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(document), namespace=namespace)
    for thread in threads:
        thread.join(60)
    if len(done) != len(apis):
        raise AssertionError(f"{name} is not served everywhere after a minute")
    return (max(done) - began) * 1000


def _watch(api: GatewayProcess, name: str, done: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if _call(connection, name):
            done.append(time.monotonic())
            break
        time.sleep(0.01)
    connection.close()


def _served(api: GatewayProcess, name: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    try:
        return _call(connection, name)
    finally:
        connection.close()


def _call(connection: http.client.HTTPConnection, name: str) -> bool:
    body = json.dumps({"name": name, "arguments": {}})
    connection.request("POST", "/tools/call", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200


@contextlib.contextmanager
def _gateway(stage: Stage, mode: str, database_url: str) -> Iterator[GatewayProcess]:
    with tempfile.TemporaryDirectory(prefix="asya-bench-") as folder:
        variables = {"ASYA_DRAIN_TIMEOUT": "2s", "PYTHONPATH": stage.import_path}
        gateway = GatewayProcess(mode, database_url, Path(folder) / "gateway.log", **variables)
        try:
            wait_for(gateway.ready, f"{mode} ready", 60)
            yield gateway
        finally:
            gateway.stop()


@contextlib.contextmanager
def _operator(stage: Stage, plane: ControlPlane, namespace: str, mesh: GatewayProcess) -> Iterator[OperatorProcess]:
    with tempfile.TemporaryDirectory(prefix="asya-bench-") as folder:
        kubeconfig = plane.kubeconfig(namespace=namespace)
        log = Path(folder) / "operator.log"
        operator = OperatorProcess(kubeconfig, namespace, mesh.url, log, PYTHONPATH=stage.import_path)
        try:
            wait_for(operator.leading, "a leader", 60)
            yield operator
        finally:
            operator.stop()


def _fill(plane: ControlPlane, namespace: str, size: int) -> None:
    """Create `size` flows and actors with plain requests, because kubectl would take a minute."""
    base = f"/apis/asya.sh/v1alpha1/namespaces/{namespace}"
    for number in range(size):
        plane.request("POST", f"{base}/flows", _flow(f"flow-{number}"))
        actor = {
            "apiVersion": "asya.sh/v1alpha1",
            "kind": "AsyncActor",
            "metadata": {"name": f"actor-{number}"},
            "spec": {"actor": f"actor-{number}", "image": "example/a:1", "handler": "a.process"},
        }
        plane.request("POST", f"{base}/asyncactors", actor)


def _flow(name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"text": {"type": "string"}, "count": {"type": "integer"}}}
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {"name": name},
        "spec": {
            "entrypoint": "actor-0",
            "description": "Does what flows do, and says so in a sentence of ordinary length.",
            "mcp": {"inputSchema": schema},
        },
    }

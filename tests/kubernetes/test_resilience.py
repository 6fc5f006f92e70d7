"""Recovery after outages: of watches, the API server, mesh, permissions, and the operator itself."""

import contextlib
import json
import random
import subprocess
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from asya_operator.domain.conditions import ConditionStatus
from asya_operator.domain.registry import ActorReadiness, Inputs, compute
from servers.control_plane import ControlPlane
from servers.operator_process import OperatorProcess, wait_for
from tests.kubernetes.conftest import ROOT, StartOperator
from tests.kubernetes.network import Network
from tests.kubernetes.recording_mesh import RecordingMesh
from tests.support.waiting import lasts_blocking

SEED = 20261121
EDITS = 200


def flow(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "a", "mcp": {}, **spec},
    }


def conditions(plane: ControlPlane, namespace: str, name: str) -> dict[str, Any]:
    found = plane.request("GET", f"/apis/asya.sh/v1alpha1/namespaces/{namespace}/flows/{name}")
    return {item["type"]: item for item in found.get("status", {}).get("conditions", [])}


LONG_LEASE = {"ASYA_LEASE_DURATION": "60s", "ASYA_LEASE_RENEW_DEADLINE": "50s", "ASYA_RESYNC_INTERVAL": "10m"}
"""No loss of the lease and no resync within a test: only the re-list after a cut may find what changed."""


def test_what_was_deleted_while_the_watch_was_cut_and_history_compacted_is_gone_everywhere(
    control_plane: ControlPlane,
    namespace: str,
    mesh: RecordingMesh,
    network: Network,
    start_operator: StartOperator,
) -> None:
    way = control_plane.kubeconfig(namespace=namespace, port=network.port)
    start_operator(kubeconfig=way, **LONG_LEASE)
    control_plane.apply(flow("stays"), flow("goes"), namespace=namespace)
    wait_for(lambda: mesh.names() == {"stays", "goes"}, "both flows")
    network.refuse()
    control_plane.delete("flow", "goes", namespace)
    control_plane.apply(flow("stays", description="changed meanwhile"), namespace=namespace)
    control_plane.stop("kube-apiserver")
    control_plane.compact()
    control_plane.start_api_server()
    network.accept()
    wait_for(lambda: mesh.names() == {"stays"}, "the deleted flow's end", 60)
    assert (mesh.flow("stays") or {})["description"] == "changed meanwhile"


def test_watches_that_break_again_and_again_hide_no_change(
    control_plane: ControlPlane,
    namespace: str,
    mesh: RecordingMesh,
    network: Network,
    start_operator: StartOperator,
) -> None:
    way = control_plane.kubeconfig(namespace=namespace, port=network.port)
    operator = start_operator(kubeconfig=way, **LONG_LEASE)
    wait_for(operator.leading, "a leader")
    for number in range(6):
        network.cut()
        control_plane.apply(flow(f"flow-{number}"), namespace=namespace)
        network.cut()
        if number % 2:
            control_plane.delete("flow", f"flow-{number - 1}", namespace)
    wait_for(lambda: mesh.names() == {"flow-1", "flow-3", "flow-5"}, "what is there in the end")
    assert operator.process.poll() is None


def test_the_operator_outlives_a_restart_of_the_api_server(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    times: dict[str, Any] = {"ASYA_LEASE_DURATION": "60s", "ASYA_LEASE_RENEW_DEADLINE": "50s"}
    operator = start_operator(**times)
    control_plane.apply(flow("before"), namespace=namespace)
    wait_for(lambda: mesh.flow("before"), "the push")
    control_plane.stop("kube-apiserver")
    control_plane.start_api_server()
    control_plane.apply(flow("after"), namespace=namespace)
    wait_for(lambda: mesh.names() == {"before", "after"}, "the push after the restart", 60)
    assert operator.process.poll() is None


def test_while_the_mesh_is_down_for_a_minute_the_condition_says_so_and_then_everything_is_caught_up(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    mesh.down = True
    operator = start_operator()
    control_plane.apply(flow("one"), namespace=namespace)
    wait_for(
        lambda: conditions(control_plane, namespace, "one").get("Programmed", {}).get("reason") == "PushFailed",
        "the condition",
    )
    assert conditions(control_plane, namespace, "one")["Accepted"]["status"] == "True"
    control_plane.apply(flow("two"), namespace=namespace)
    with pytest.raises(subprocess.TimeoutExpired):
        operator.process.wait(60)  # a whole minute, longer than every wait between two tries: it must not end
    assert operator.get("/healthz")[0] == 200
    mesh.down = False
    wait_for(lambda: mesh.names() == {"one", "two"}, "both flows")
    wait_for(lambda: conditions(control_plane, namespace, "one")["Programmed"]["status"] == "True", "Programmed")
    assert operator.process.poll() is None


def test_a_restored_database_gets_everything_again(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    start_operator()
    control_plane.apply(flow("one"), namespace=namespace)
    wait_for(lambda: mesh.names() == {"one"}, "the push")
    mesh.forget_everything()
    wait_for(lambda: mesh.names() == {"one"}, "the push after the loss")


def test_denied_permissions_are_named_and_the_operator_waits_for_them(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    control_plane.kubectl("create", "serviceaccount", "poor", namespace=namespace)
    token = control_plane.kubectl("create", "token", "poor", namespace=namespace).stdout.strip()
    role = [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]},
    ]
    grant(control_plane, namespace, "poor", role)
    control_plane.apply(flow("waits"), namespace=namespace)
    operator = start_operator(kubeconfig=control_plane.kubeconfig(token, f"poor-{namespace}", namespace))
    # The kinds are listed side by side, so each is named in its own time: in the probe, the metric and the log.
    for kind in ("flows", "asyncactors"):
        sentence, metric = f'cannot list resource "{kind}"', f'asya_operator_denied{{resource="{kind}"}} 1.0'
        wait_for(lambda said=sentence: said in operator.get("/readyz")[1], "the reason in the readiness probe")  # type: ignore[misc]
        wait_for(lambda said=metric: said in operator.get("/metrics")[1], "the metric")  # type: ignore[misc]
        wait_for(lambda said=sentence: said in operator.output(), "the line in the log")  # type: ignore[misc]
    assert operator.get("/readyz")[0] == 503
    assert mesh.names() == set(), "what is not known is not pushed as if it were gone"
    role.append(
        {
            "apiGroups": ["asya.sh"],
            "resources": ["flows", "flows/status", "asyncactors"],
            "verbs": ["list", "watch", "patch"],
        }
    )
    grant(control_plane, namespace, "poor", role)
    wait_for(lambda: mesh.names() == {"waits"}, "the push", 60)
    wait_for(operator.leading, "readiness", 60)
    assert operator.process.poll() is None


def test_statuses_that_may_not_be_written_are_named_while_the_flow_is_served_all_the_same(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    control_plane.kubectl("create", "serviceaccount", "reader", namespace=namespace)
    token = control_plane.kubectl("create", "token", "reader", namespace=namespace).stdout.strip()
    role = [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]},
        {"apiGroups": ["asya.sh"], "resources": ["flows", "asyncactors"], "verbs": ["list", "watch"]},
    ]
    grant(control_plane, namespace, "reader", role)
    control_plane.apply(flow("served"), namespace=namespace)
    operator = start_operator(kubeconfig=control_plane.kubeconfig(token, f"reader-{namespace}", namespace))
    wait_for(lambda: mesh.names() == {"served"}, "the push")
    wait_for(lambda: "flows/status" in operator.get("/readyz")[1], "the reason in the readiness probe")
    assert operator.process.poll() is None


def test_a_storm_of_other_writers_ends_in_the_right_conditions(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    start_operator()
    path = f"/apis/asya.sh/v1alpha1/namespaces/{namespace}/flows"
    control_plane.apply(*(flow(f"flow-{number}") for number in range(5)), namespace=namespace)
    for turn in range(40):
        for number in range(5):
            # Every write makes the operator's own one, if it is under way, a conflict.
            patch = {"metadata": {"labels": {"turn": str(turn)}}, "spec": {"description": f"turn {turn}"}}
            control_plane.request("PATCH", f"{path}/flow-{number}", patch, content_type="application/merge-patch+json")

    def settled() -> bool:
        return all(
            conditions(control_plane, namespace, f"flow-{number}").get("Programmed", {}).get("status") == "True"
            and conditions(control_plane, namespace, f"flow-{number}")["Programmed"]["observedGeneration"] == 41
            for number in range(5)
        )

    # The first generation is the applied one, each of the forty turns adds one.
    wait_for(settled, "the conditions of the last turn", 120)
    assert (mesh.flow("flow-4") or {})["description"] == "turn 39"


def test_a_kind_that_is_installed_later_is_watched_from_then_on(mesh: RecordingMesh, tmp_path: Path) -> None:
    plane = ControlPlane()
    operator: OperatorProcess | None = None
    try:
        plane.start()
        settings = {"ASYA_RESYNC_INTERVAL": "1s"}
        operator = OperatorProcess(plane.kubeconfig(), "default", mesh.url, tmp_path / "operator.log", **settings)
        wait_for(operator.leading, "a leader without any of our kinds")
        text = "flows:\n- {name: early, entrypoint: a, mcp: {}}\n"
        plane.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "gateway-flows"},
                "data": {"flows.yaml": text},
            }
        )
        wait_for(lambda: mesh.names() == {"early"}, "the ConfigMap's flow")
        plane.kubectl("apply", "-k", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd/flows.asya.sh")
        plane.apply(flow("late"))
        wait_for(lambda: mesh.names() == {"early", "late"}, "the Flow")
    finally:
        if operator is not None:
            operator.stop()
        plane.close()


def grant(plane: ControlPlane, namespace: str, account: str, rules: list[dict[str, Any]]) -> None:
    plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": account},
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
        namespace=namespace,
    )


class Editor:
    """Makes random edits of Flows and of the ConfigMap, mistakes and conflicts included."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._random = plane, random.Random(SEED)
        self._flows = f"/apis/asya.sh/v1alpha1/namespaces/{namespace}/flows"
        self._maps = f"/api/v1/namespaces/{namespace}/configmaps"

    def edit(self) -> None:
        """One edit; one that the API server refuses is none."""
        name = f"flow-{self._random.randrange(12)}"
        kinds = (self._apply, self._apply, self._apply, self._delete, self._configmap)
        with contextlib.suppress(urllib.error.HTTPError):
            self._random.choice(kinds)(name)

    def _apply(self, name: str) -> None:
        spec = {
            "name": self._random.choice((None, None, f"flow-{self._random.randrange(12)}")),
            "description": str(self._random.random()),
            "mcp": self._random.choice(({}, {}, {"inputSchema": {"type": "array"}}, {"inputSchema": {"type": 7}})),
        }
        body = flow(name)
        body["spec"] |= {key: value for key, value in spec.items() if value is not None}
        self._put(f"{self._flows}/{name}", body)

    def _delete(self, name: str) -> None:
        self._plane.request("DELETE", f"{self._flows}/{name}")

    def _configmap(self, name: str) -> None:
        if self._random.random() < 0.2:
            self._plane.request("DELETE", f"{self._maps}/gateway-flows")
            return
        lines = [self._entry() for _ in range(self._random.randrange(4))]
        broken = self._random.random() < 0.2
        self.write("flows: [\n" if broken else "flows:\n" + "\n".join(lines))

    def write(self, text: str) -> None:
        """Make the ConfigMap say this."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "gateway-flows"},
            "data": {"flows.yaml": text},
        }
        self._put(f"{self._maps}/gateway-flows", body)

    def _entry(self) -> str:
        entrypoint = self._random.choice(("a", "b", "NO"))
        return f"- {{name: flow-{self._random.randrange(12)}, entrypoint: {entrypoint}, mcp: {{}}}}"

    def _put(self, path: str, body: dict[str, Any]) -> None:
        self._plane.request(
            "PATCH", f"{path}?fieldManager=test&force=true", body, content_type="application/apply-patch+yaml"
        )


def test_after_200_random_edits_and_kills_everything_is_what_the_pure_function_says(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    editor, chance = Editor(control_plane, namespace), random.Random(SEED)
    running: list[OperatorProcess] = [start_operator(), start_operator()]
    wait_for(lambda: any(operator.leading() for operator in running), "a leader")
    for _ in range(EDITS):
        editor.edit()
        lasts_blocking(chance.uniform(0.0, 0.05))  # so that kills meet the operator at different points of its work
        if chance.random() < 0.04:
            victim = running.pop(0)
            victim.kill()
            running.append(start_operator())
    settles(control_plane, namespace, mesh)
    editor.write("flows:\n- {name: flow-1, entrypoint: a, mcp: {}}\n- {name: flow-2, entrypoint: a, mcp: {}}\n")
    settles(control_plane, namespace, mesh)
    editor.write("flows: [\n")
    settles(control_plane, namespace, mesh)
    assert set(kept(mesh)["flows.yaml"]) == {"flow-1", "flow-2"}
    epochs = [epoch for _, epoch, _ in mesh.registry.pushes]
    assert epochs == sorted(epochs)


def settles(plane: ControlPlane, namespace: str, mesh: RecordingMesh) -> None:
    """Registry and conditions become what the pure function says of the sources as they are."""

    def right() -> Any:
        outcome = expected(plane, namespace, mesh)
        return outcome if pushed(mesh) == as_pushed(outcome) else None

    outcome = wait_for(right, "the registry", 90)
    wait_for(lambda: written(plane, namespace, outcome), "the conditions", 90)


def kept(mesh: RecordingMesh) -> dict[str, list[str]]:
    """Names that mesh keeps of keys that could not be read."""
    with mesh.lock:
        part = mesh.registry.parts.get("configmap", {})
        unreadable = part.get("unreadable", [])
        flows = part.get("flows", [])
    return {source: [entry["flow"]["name"] for entry in flows if entry["source"] == source] for source in unreadable}


def expected(plane: ControlPlane, namespace: str, mesh: RecordingMesh) -> Any:
    flows = plane.request("GET", f"/apis/asya.sh/v1alpha1/namespaces/{namespace}/flows")["items"]
    maps = plane.request(
        "GET", f"/api/v1/namespaces/{namespace}/configmaps?fieldSelector=metadata.name%3Dgateway-flows"
    )
    data = maps["items"][0].get("data") or {} if maps["items"] else None
    actors: dict[str, ActorReadiness] = {}
    return compute(Inputs(configmap=data, flows=flows, actors=actors, kept=kept(mesh)))


def pushed(mesh: RecordingMesh) -> dict[str, Any]:
    """What was pushed of each part, without what mesh keeps."""
    with mesh.lock:
        return {
            key: [entry for entry in part.get("flows", []) if entry["source"] not in part.get("unreadable", [])]
            for key, part in mesh.registry.parts.items()
        }


def as_pushed(outcome: Any) -> dict[str, Any]:
    parts = {"configmap": outcome.document.configmap, "resources": outcome.document.resources}
    return {key: json.loads(part.model_dump_json(exclude_none=True))["flows"] for key, part in parts.items()}


def written(plane: ControlPlane, namespace: str, outcome: Any) -> bool:
    """Whether every Flow's conditions say what the pure function says."""
    for name, verdict in outcome.resources.items():
        found = conditions(plane, namespace, name)
        for condition in (verdict.accepted, verdict.resolved):
            live = found.get(condition.type)
            if live is None or (live["status"], live["reason"], live["message"]) != (
                condition.state.value, condition.reason, condition.message,
            ):  # fmt: skip
                return False
        programmed = ConditionStatus.TRUE if verdict.served else ConditionStatus.FALSE
        if found.get("Programmed", {}).get("status") != programmed.value:
            return False
    return True

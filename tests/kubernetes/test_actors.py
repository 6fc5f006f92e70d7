"""From an AsyncActor to a Deployment, and back to its status."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from servers.control_plane import ControlPlane
from servers.operator_process import wait_for
from tests.kubernetes.conftest import StartOperator
from tests.kubernetes.recording_mesh import RecordingMesh

RUN: dict[str, Any] = {"ASYA_RUN_ACTORS": "true"}


def stub_crd(kind: str, plural: str) -> dict[str, Any]:
    """A definition that takes anything, in place of KEDA's own."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1alpha1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.keda.sh"},
        "spec": {
            "group": "keda.sh",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


@contextlib.contextmanager
def keda(plane: ControlPlane) -> Iterator[None]:
    """KEDA's kinds, without KEDA."""
    plane.apply(stub_crd("ScaledObject", "scaledobjects"), stub_crd("TriggerAuthentication", "triggerauthentications"))
    names = ("crd/scaledobjects.keda.sh", "crd/triggerauthentications.keda.sh")
    plane.kubectl("wait", "--for=condition=Established", *names)
    try:
        yield
    finally:
        plane.kubectl("delete", *names)


def actor(name: str = "shout", **spec: Any) -> dict[str, Any]:
    base = {"actor": name, "image": "example/shout:1", "handler": "shout.process", "scaling": {"enabled": False}}
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "AsyncActor",
        "metadata": {"name": name, "labels": {"team": "vision", "app.kubernetes.io/part-of": "x"}},
        "spec": {**base, **spec},
    }


class Actors:
    """One namespace as a test sees it."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def apply(self, *documents: dict[str, Any]) -> None:
        self.plane.apply(*documents, namespace=self.namespace)

    def deployment(self, name: str = "shout") -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.plane.find("Deployment", name, self.namespace)
        return found

    def wait_deployment(self, name: str = "shout") -> dict[str, Any]:
        return wait_for(lambda: self.deployment(name), f"Deployment {name}")

    def status(self, name: str = "shout") -> dict[str, Any]:
        status: dict[str, Any] = self.plane.get("asyncactor", name, namespace=self.namespace).get("status", {})
        return status

    def condition(self, type_: str, name: str = "shout") -> dict[str, Any]:
        return next((item for item in self.status(name).get("conditions", []) if item["type"] == type_), {})

    def scaled_object(self, name: str = "shout") -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.plane.find("ScaledObject", name, self.namespace)
        return found

    def pretend_keda_says(self, status: str, message: str = "", name: str = "shout") -> None:
        """What KEDA would write into the ScaledObject."""
        ready = {"type": "Ready", "status": status, "message": message}
        change = {"status": {"conditions": [ready]}}
        self.plane.patch("ScaledObject", name, change, self.namespace, subresource="status")

    def keda_part(self, name: str = "shout") -> dict[str, Any]:
        part: dict[str, Any] = self.status(name).get("infrastructure", {}).get("keda", {})
        return part

    def pretend_available(self, name: str = "shout") -> None:
        """What kubelet and the controller-manager would say once every pod runs."""
        live = self.wait_deployment(name)
        count = live["spec"]["replicas"]
        status = {
            "observedGeneration": live["metadata"]["generation"],
            **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count),
        }
        self.plane.patch("Deployment", name, {"status": status}, self.namespace, subresource="status")


def test_an_actor_becomes_a_deployment_and_its_status_follows(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    start_operator(**RUN)
    cluster.apply(actor(replicas=2))
    live = cluster.wait_deployment()
    assert live["spec"]["replicas"] == 2
    container = live["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["command"][-2:]) == ("example/shout:1", ["asya_cli", "actor"])
    assert live["metadata"]["labels"]["team"] == "vision"
    assert live["metadata"]["labels"]["asya.sh/component"] == "actor"
    assert live["metadata"]["ownerReferences"][0]["kind"] == "AsyncActor"
    wait_for(lambda: cluster.status().get("phase") == "Creating", "the phase Creating")
    cluster.pretend_available()
    wait_for(lambda: cluster.status().get("phase") == "Ready", "the phase Ready")
    assert cluster.status()["queueIdentifier"] == f"asya-{namespace}-shout"
    assert cluster.status()["infrastructure"]["workload"]["readyReplicas"] == 2
    assert cluster.condition("Ready")["status"] == "True"


def test_a_flow_whose_actor_is_ready_has_its_references_resolved(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    start_operator(**RUN)
    flow = {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {"name": "shout"},
        "spec": {"entrypoint": "shout", "mcp": {}},
    }
    cluster.apply(actor(), flow)

    def resolved() -> str:
        found = control_plane.get("flow", "shout", namespace=namespace).get("status", {}).get("conditions", [])
        return next((item["reason"] for item in found if item["type"] == "ResolvedRefs"), "")

    wait_for(lambda: resolved() == "ActorNotReady", "ActorNotReady")
    cluster.pretend_available()
    wait_for(lambda: resolved() == "ResolvedRefs", "ResolvedRefs")


def test_manual_changes_are_reverted(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    start_operator(**RUN)
    cluster.apply(actor())
    cluster.wait_deployment()
    control_plane.kubectl("set", "image", "deployment/shout", "asya-actor=example/evil:9", namespace=namespace)
    wait_for(
        lambda: cluster.wait_deployment()["spec"]["template"]["spec"]["containers"][0]["image"] == "example/shout:1",
        "the image put back",
    )
    control_plane.kubectl("delete", "deployment", "shout", namespace=namespace)
    cluster.wait_deployment()


def test_the_number_of_replicas_passes_to_the_autoscaler_and_back(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    with keda(control_plane):
        cluster = Actors(control_plane, namespace)
        start_operator(**RUN)
        cluster.apply(actor(replicas=3))
        assert cluster.wait_deployment()["spec"]["replicas"] == 3
        cluster.apply(actor(replicas=3, scaling={"enabled": True, "maxReplicaCount": 7}))
        scaled = wait_for(lambda: control_plane.get("ScaledObject", namespace=namespace)["items"], "the ScaledObject")
        assert scaled[0]["spec"]["maxReplicaCount"] == 7
        authentication = scaled[0]["spec"]["triggers"][0]["authenticationRef"]["name"]
        found = control_plane.get("TriggerAuthentication", authentication, namespace=namespace)
        assert found["spec"]["secretTargetRef"][0]["name"] == "asya-transport"
        assert cluster.wait_deployment()["spec"]["replicas"] == 3, "handed over, not reset"
        # As KEDA's HPA does it: through the scale subresource. A change of the image must not undo it.
        control_plane.kubectl("scale", "deployment/shout", "--replicas=0", namespace=namespace)
        cluster.apply(actor(replicas=3, image="example/shout:2", scaling={"enabled": True, "maxReplicaCount": 7}))
        wait_for(
            lambda: (
                cluster.wait_deployment()["spec"]["template"]["spec"]["containers"][0]["image"] == "example/shout:2"
            ),
            "the new image",
        )
        assert cluster.wait_deployment()["spec"]["replicas"] == 0, "a napping actor is not woken"
        cluster.pretend_available()
        cluster.pretend_keda_says("True")
        wait_for(lambda: cluster.status().get("phase") == "Napping", "Napping")
        cluster.apply(actor(replicas=4, image="example/shout:2"))
        wait_for(lambda: cluster.wait_deployment()["spec"]["replicas"] == 4, "the number from the spec again")
        wait_for(lambda: not control_plane.get("ScaledObject", namespace=namespace)["items"], "the ScaledObject's end")


def test_the_status_says_of_keda_what_keda_says_and_a_changed_scaled_object_is_put_back(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    with keda(control_plane):
        cluster = Actors(control_plane, namespace)
        start_operator(**RUN)
        cluster.apply(actor(scaling={"enabled": True, "maxReplicaCount": 7}))
        wait_for(cluster.scaled_object, "the ScaledObject")
        cluster.pretend_available()
        wait_for(lambda: "has not reported" in cluster.keda_part().get("message", ""), "KEDA's silence in the status")
        wait_for(lambda: cluster.condition("Ready").get("reason") == "ScalingNotReady", "the condition")
        cluster.pretend_keda_says("True")
        wait_for(lambda: cluster.status().get("phase") == "Ready", "the phase Ready")
        assert cluster.keda_part()["ready"] is True
        cluster.pretend_keda_says("False", "no such secret")
        wait_for(lambda: cluster.keda_part() == {"ready": False, "message": "KEDA: no such secret"}, "KEDA's trouble")
        assert cluster.status()["phase"] == "Creating"
        cluster.pretend_keda_says("True")
        wait_for(lambda: cluster.status().get("phase") == "Ready", "the phase Ready again")

        change = json.dumps({"spec": {"maxReplicaCount": 99}})
        control_plane.kubectl("patch", "scaledobject", "shout", "--type=merge", "-p", change, namespace=namespace)
        wait_for(lambda: (cluster.scaled_object() or {})["spec"]["maxReplicaCount"] == 7, "the number put back")
        control_plane.delete("scaledobject", "shout", namespace)
        wait_for(cluster.scaled_object, "the ScaledObject made again")


def test_keda_that_is_installed_later_takes_over_and_hands_back_when_it_goes(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    start_operator(ASYA_RESYNC_INTERVAL="1s", **RUN)
    cluster.apply(actor(scaling={"enabled": True, "minReplicaCount": 2}))
    assert cluster.wait_deployment()["spec"]["replicas"] == 2

    def without_keda() -> bool:
        return "KEDA is not installed" in cluster.condition("Accepted").get("message", "")

    wait_for(without_keda, "the note")
    with keda(control_plane):
        wait_for(cluster.scaled_object, "the ScaledObject")
        wait_for(lambda: not without_keda(), "the end of the note")
        cluster.pretend_available()
        cluster.pretend_keda_says("True")
        wait_for(lambda: cluster.status().get("phase") == "Ready", "KEDA's word, by a watch that began later")
        control_plane.kubectl("scale", "deployment/shout", "--replicas=0", namespace=namespace)
    wait_for(without_keda, "the note again")
    wait_for(lambda: cluster.wait_deployment()["spec"]["replicas"] == 2, "replicas that nothing else would wake")


def test_the_account_of_the_pods_is_made_again_where_pods_are_refused(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    start_operator(**RUN)
    cluster.apply(actor())
    cluster.wait_deployment()
    wait_for(lambda: cluster.status().get("phase") == "Creating", "the phase Creating")
    control_plane.delete("serviceaccount", "asya-actors", namespace)
    refused = {"type": "ReplicaFailure", "status": "True", "message": 'serviceaccount "asya-actors" not found'}
    control_plane.patch("Deployment", "shout", {"status": {"conditions": [refused]}}, namespace, subresource="status")
    wait_for(lambda: control_plane.find("ServiceAccount", "asya-actors", namespace), "the account made again")


def environment_configs() -> dict[str, Any]:
    """Crossplane's kind, without Crossplane."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "environmentconfigs.apiextensions.crossplane.io"},
        "spec": {
            "group": "apiextensions.crossplane.io",
            "scope": "Cluster",
            "names": {
                "kind": "EnvironmentConfig",
                "plural": "environmentconfigs",
                "singular": "environmentconfig",
            },
            "versions": [{"name": "v1beta1", "served": True, "storage": True, "schema": schema}],
        },
    }


@contextlib.contextmanager
def crossplane(plane: ControlPlane) -> Iterator[None]:
    """EnvironmentConfig as a kind of the cluster."""
    plane.apply(environment_configs())
    name = "crd/environmentconfigs.apiextensions.crossplane.io"
    plane.kubectl("wait", "--for=condition=Established", name)
    try:
        yield
    finally:
        plane.kubectl("delete", name)


def flavor(name: str, **data: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.crossplane.io/v1beta1",
        "kind": "EnvironmentConfig",
        "metadata": {"name": name, "labels": {"asya.sh/flavor": name}},
        "data": data,
    }


def test_an_actor_waits_for_its_flavors_and_is_built_with_them(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    start_operator(**RUN)
    cluster.apply(actor(flavors=["gpu-small"], tolerations=[{"key": "own", "operator": "Exists"}]))

    def said() -> str:
        return str(cluster.condition("Accepted").get("message", ""))

    wait_for(lambda: "the cluster has no EnvironmentConfig" in said(), "the condition without the kind")
    with crossplane(control_plane):
        wait_for(lambda: "no EnvironmentConfig is labelled asya.sh/flavor=gpu-small" in said(), "what is missing")
        assert cluster.condition("Accepted")["reason"] == "FlavorNotFound"
        assert cluster.deployment() is None
        shared = {"nodeSelector": {"gpu": "t4"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}
        control_plane.apply(flavor("gpu-small", **shared))
        pod = cluster.wait_deployment()["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == {"gpu": "t4"}
        assert [each["key"] for each in pod["tolerations"]] == ["gpu", "own"]
        wait_for(lambda: cluster.condition("Accepted").get("status") == "True", "the condition")
        control_plane.apply(flavor("gpu-large", nodeSelector={"gpu": "a100"}))
        cluster.apply(actor(flavors=["gpu-small", "gpu-large"]))
        wait_for(lambda: "gpu-small and gpu-large both set nodeSelector.gpu" in said(), "the conflict")


def test_variables_that_are_ours_to_set_are_named_and_the_actor_runs(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    start_operator(**RUN)
    cluster.apply(actor(env=[{"name": "ASYA_HANDLER", "value": "other.handler"}, {"name": "MINE", "value": "1"}]))
    live = cluster.wait_deployment()["spec"]["template"]["spec"]["containers"][0]
    values = {item["name"]: item.get("value") for item in live["env"]}
    assert (values["ASYA_HANDLER"], values["MINE"]) == ("shout.process", "1")
    wait_for(lambda: cluster.condition("Accepted").get("reason") == "PartlySupported", "the condition")
    assert "the operator sets ASYA_HANDLER itself" in cluster.condition("Accepted")["message"]


def test_everything_that_belongs_to_an_actor_goes_with_it(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    control_plane.start_controller_manager()
    cluster = Actors(control_plane, namespace)
    start_operator(**RUN)
    cluster.apply(actor())
    cluster.wait_deployment()
    control_plane.delete("asyncactor", "shout", namespace)
    # The garbage collector looks for kinds that came and went (KEDA's, in other tests) every 30 s before it goes on.
    wait_for(lambda: cluster.deployment() is None, "the Deployment's end", 120)


def test_an_actor_that_another_one_runs_already_is_refused(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    start_operator(**RUN)
    cluster.apply(actor("shout"))
    cluster.wait_deployment()
    second = actor("shout")
    second["metadata"]["name"] = "shout-again"
    cluster.apply(second)
    wait_for(lambda: cluster.condition("Accepted", "shout-again").get("status") == "False", "the refusal")
    assert "AsyncActor shout already runs shout" in cluster.condition("Accepted", "shout-again")["message"]


def test_with_actors_off_nothing_is_made(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    operator = start_operator(ASYA_RUN_ACTORS="false")
    wait_for(operator.leading, "a leader")
    flow = {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {"name": "other"},
        "spec": {"entrypoint": "shout", "mcp": {}},
    }
    cluster.apply(actor(), flow)
    wait_for(lambda: mesh.flow("other"), "the flow, applied after the actor")
    assert cluster.deployment() is None
    assert cluster.status() == {}


def test_a_foreign_deployment_is_not_taken_over(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    labels = {"app.kubernetes.io/name": "shout"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "own", "image": "own:1"}]}}
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shout"},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
        }
    )
    start_operator(**RUN)
    cluster.apply(actor())
    refusal = wait_for(lambda: cluster.condition("Accepted").get("status") == "False", "the refusal")
    assert refusal
    assert "does not belong to this operator" in cluster.condition("Accepted")["message"]
    live = cluster.wait_deployment()
    assert [container["image"] for container in live["spec"]["template"]["spec"]["containers"]] == ["own:1"]
    assert "ownerReferences" not in live["metadata"]
    control_plane.kubectl("delete", "deployment", "shout", namespace=namespace)
    wait_for(lambda: (cluster.deployment() or {}).get("metadata", {}).get("ownerReferences"), "our own Deployment")


def test_one_bad_actor_neither_ends_the_operator_nor_holds_up_another(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    operator = start_operator(**RUN)
    cluster.apply(
        actor("older", workload={"template": "foo"}),
        actor("mounts", volumeMounts=[{"name": "nowhere", "mountPath": "/data"}]),
        actor("good"),
    )
    cluster.wait_deployment("good")
    wait_for(lambda: "older manifests" in cluster.condition("Accepted", "older").get("message", ""), "its condition")
    wait_for(
        lambda: "API server rejects" in cluster.condition("Accepted", "mounts").get("message", ""), "its condition"
    )
    assert operator.process.poll() is None


def test_an_object_that_is_nested_without_end_holds_up_no_other(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Actors(control_plane, namespace)
    deep = json.dumps(actor("deep", resources="DEEP")).replace('"DEEP"', '{"a":' * 4000 + "1" + "}" * 4000)
    path = f"/apis/asya.sh/v1alpha1/namespaces/{namespace}/asyncactors"
    control_plane.send("POST", path, deep.encode())
    operator = start_operator(ASYA_RESYNC_INTERVAL="2s", **RUN)
    cluster.apply(actor("before"))
    cluster.wait_deployment("before")
    wait_for(operator.leading, "a leader that has listed everything")
    control_plane.send("DELETE", f"{path}/deep")
    control_plane.send("POST", path, deep.encode())
    cluster.apply(actor("after"))
    cluster.wait_deployment("after")

    def said() -> str:
        """kubectl reads it out, since Python's decoder refuses the object."""
        found = control_plane.kubectl(
            "get", "asyncactor", "deep", "-o", "jsonpath={.status.conditions[0].message}", namespace=namespace
        )
        return found.stdout

    wait_for(lambda: said() == "spec: nested deeper than 100 levels", "its condition")
    assert "the watches ended" not in operator.output()

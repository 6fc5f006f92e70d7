"""The operator's Roles let it do what it does, and nothing else: seen in the API server's audit log."""

import json
from functools import lru_cache
from typing import Any

from servers.control_plane import ControlPlane
from servers.operator_process import wait_for
from tests.kubernetes.conftest import StartOperator
from tests.kubernetes.manifests import MANIFESTS, OVERLAYS, ROOT, of_kind, overlay, read_all
from tests.kubernetes.recording_mesh import RecordingMesh
from tests.kubernetes.test_actors import Actors, actor, crossplane, flavor, keda
from tests.kubernetes.test_registry import Cluster, configmap, flow

Permission = tuple[str, str, str]
"""Group, resource (with its subresource), verb."""


FILES = (MANIFESTS / "base" / "operator-rbac.yaml", MANIFESTS / "components" / "flavors" / "rbac.yaml")


def rbac(namespace: str) -> list[dict[str, Any]]:
    objects = [each for path in FILES for each in read_all(path.read_text())]
    for each in objects:
        if not each["kind"].startswith("Cluster"):
            each["metadata"]["namespace"] = namespace
        for subject in each.get("subjects", []):
            subject["namespace"] = namespace
    return objects


@lru_cache
def granted() -> frozenset[Permission]:
    rules = [rule for each in rbac("n") for rule in each.get("rules", [])]
    return frozenset(
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def audited(plane: ControlPlane, namespace: str) -> tuple[set[Permission], set[Permission]]:
    """What the operator was allowed and what it was denied."""
    used, denied = set(), set()
    user = f"system:serviceaccount:{namespace}:asya-operator"
    for line in plane.audit_log.read_text().splitlines():
        event = json.loads(line)
        about = event.get("objectRef")
        if event["user"]["username"] != user or not about or "resource" not in about:
            continue
        resource = about["resource"] + (f"/{about['subresource']}" if "subresource" in about else "")
        code = event.get("responseStatus", {}).get("code", 200)
        permission = (about.get("apiGroup", ""), resource, event["verb"])
        if code == 403:
            denied.add(permission)
            continue
        used.add(permission)
        if event["verb"] == "patch" and code == 201:
            # Server-side apply of what is not there needs `create` as well; the log names the request alone.
            used.add((*permission[:2], "create"))
    return used, denied


def test_the_operator_uses_every_verb_that_it_is_given_and_needs_no_other(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    with keda(control_plane), crossplane(control_plane):
        control_plane.apply(*rbac(namespace), namespace=namespace)
        token = control_plane.kubectl("create", "token", "asya-operator", namespace=namespace).stdout.strip()
        account = control_plane.kubeconfig(token, f"operator-{namespace}", namespace)
        start_operator(kubeconfig=account, ASYA_RUN_ACTORS="true")
        registry, actors = Cluster(control_plane, namespace), Actors(control_plane, namespace)
        registry.apply(configmap("flows:\n- {name: bad, entrypoint: NO}\n"), flow("one"))
        registry.wait_condition("one", "Programmed", "True")
        wait_for(lambda: registry.report().get("problems"), "the report")
        actors.apply(actor())
        actors.wait_deployment()
        control_plane.apply(flavor("gpu-small", nodeSelector={"gpu": "t4"}))
        actors.apply(actor(scaling={"enabled": True}, flavors=["gpu-small"]))
        wait_for(lambda: control_plane.get("ScaledObject", namespace=namespace)["items"], "the ScaledObject")
        actors.apply(actor())
        wait_for(lambda: not control_plane.get("ScaledObject", namespace=namespace)["items"], "its end")
        wait_for(lambda: granted() <= audited(control_plane, namespace)[0], "every verb", 90)
        used, denied = audited(control_plane, namespace)
        assert denied == set(), "missing"
        assert granted() - used == set(), "superfluous"
        assert mesh.flow("one")


def test_beyond_its_namespace_the_operator_may_list_flavors_alone() -> None:
    objects = [
        each
        for folder in ("base", "components", "overlays")
        for path in (ROOT / "manifests" / folder).rglob("*.yaml")
        for each in read_all(path.read_text())
        if each.get("kind") in ("ClusterRole", "ClusterRoleBinding")
    ]
    assert [(each["kind"], each["metadata"]["name"]) for each in objects] == [
        ("ClusterRole", "asya-operator-flavors"),
        ("ClusterRoleBinding", "asya-operator-flavors"),
    ]
    assert objects[0]["rules"] == [
        {"apiGroups": ["apiextensions.crossplane.io"], "resources": ["environmentconfigs"], "verbs": ["list"]}
    ]
    for name in OVERLAYS:
        assert not of_kind(overlay(name), "ClusterRole", "ClusterRoleBinding"), "only who adds the component has it"

"""What a platform team applies: accepted by a real API server, restricted, and with one door for callers."""

import ipaddress
import json
import os
import re
import shutil
import tomllib
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asya_crds.older_shapes import actor_from_resource
from asya_gateway.outbound.permitting import Allowed, Reach, permits
from asya_gateway.settings import Settings
from asya_operator.domain.resources.common import ActorResource, Surroundings
from asya_operator.domain.resources.deployment import deployment
from asya_transports.known import describe
from servers.control_plane import ControlPlane
from tests.kubernetes.manifests import (
    COMPONENTS,
    MANIFESTS,
    OVERLAYS,
    ROOT,
    built,
    of_kind,
    overlay,
    read_all,
    templates,
    with_components,
    write_all,
)
from tests.kubernetes.reachability import Peer, may_reach

EXAMPLES = ROOT / "docs" / "examples" / "async-actors"
OPTIONAL_KINDS = [
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], ...]:
    """The base with every component."""
    return with_components(tmp_path_factory.mktemp("all"))


def stub(group: str, version: str, kind: str, plural: str) -> dict[str, Any]:
    """A definition that takes anything, in place of one that somebody else's project installs."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stub for tests"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


def moved(objects: Any, namespace: str) -> str:
    """The objects in the test's namespace, without the ones that are the cluster's."""
    kept = [
        json.loads(json.dumps(each))
        for each in objects
        if each["kind"] not in ("Namespace", "CustomResourceDefinition")
    ]
    for each in kept:
        if each["kind"] not in ("ClusterRole", "ClusterRoleBinding"):
            each["metadata"]["namespace"] = namespace
        for subject in each.get("subjects", []):
            if subject["kind"] == "ServiceAccount":
                subject["namespace"] = namespace
    return write_all(kept)


def restricted(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")


def refusal(plane: ControlPlane, namespace: str, pod: dict[str, Any]) -> str:
    """Why the API server would not create the pod; "" if it would. The request is that of `kubectl create
    --dry-run=server`, for which kubectl takes a tenth of a second of a core."""
    try:
        plane.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict", pod)
    except urllib.error.HTTPError as error:
        return str(json.loads(error.read())["message"])
    return ""


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_of_an_overlay_passes_a_server_side_dry_run(
    name: str, control_plane: ControlPlane, namespace: str
) -> None:
    restricted(control_plane, namespace)
    done = control_plane.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "-f",
        "-",
        stdin=moved(overlay(name), namespace),
        namespace=namespace,
    )
    assert "would violate PodSecurity" not in done.stderr
    assert done.stderr.strip() == ""


def test_every_component_passes_too(
    everything: tuple[dict[str, Any], ...], control_plane: ControlPlane, namespace: str
) -> None:
    assert len(COMPONENTS) >= 6
    for kind in OPTIONAL_KINDS:
        control_plane.apply(stub(*kind))
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/{kind[3]}.{kind[0]}")
    control_plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "-f", "-", stdin=moved(everything, namespace), namespace=namespace
    )


def test_the_crds_pass_too(control_plane: ControlPlane) -> None:
    crds = [each for each in overlay("kind") if each["kind"] == "CustomResourceDefinition"]
    assert {each["metadata"]["name"] for each in crds} == {"flows.asya.sh", "asyncactors.asya.sh"}
    control_plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", stdin=write_all(crds)
    )


def actor_templates() -> list[tuple[str, dict[str, Any]]]:
    """The pod templates that the operator makes of every example."""
    around = Surroundings("n", "rabbitmq", "http://mesh:8080", "asya-transport", "asya-actors", "asya-runtime")
    found = []
    for path in sorted(EXAMPLES.glob("*.yaml")):
        for body in read_all(path.read_text()):
            body["metadata"]["uid"] = "u"
            actor = ActorResource(actor_from_resource(body)[0], body)
            found.append((f"actor/{path.stem}", deployment(actor, around, replicas=1)["spec"]["template"]))
    return found


def test_a_pod_made_from_every_template_is_let_into_a_restricted_namespace(
    control_plane: ControlPlane, namespace: str
) -> None:
    # A Deployment passes the dry run whatever its pods are like: only Pods are refused.
    restricted(control_plane, namespace)
    for account in ("asya-operator", "asya-actors", "default"):
        control_plane.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}, namespace=namespace
        )
    everything = [*templates(overlay("kind")), *templates(overlay("production")), *actor_templates()]
    assert len(everything) >= 15
    for number, (owner, template) in enumerate(everything):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number}", "labels": template["metadata"]["labels"]},
            "spec": {"restartPolicy": "Never", **template["spec"]},
        }
        assert not refusal(control_plane, namespace, pod), owner


def test_a_pod_that_is_not_restricted_would_be_noticed(control_plane: ControlPlane, namespace: str) -> None:
    restricted(control_plane, namespace)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bad"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    control_plane.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}, namespace=namespace
    )
    assert "violates PodSecurity" in refusal(control_plane, namespace, pod)


def test_the_flows_configmap_has_no_data() -> None:
    for name in OVERLAYS:
        found = [each for each in overlay(name) if each["metadata"]["name"] == "gateway-flows"]
        assert [set(each) for each in found] == [{"apiVersion", "kind", "metadata"}]


def test_the_migration_job_carries_the_version_in_its_name() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert [job["metadata"]["name"] for job in of_kind(overlay("kind"), "Job")] == [
        f"asya-migrate-{version.replace('.', '-')}"
    ]


@pytest.mark.parametrize("name", OVERLAYS)
def test_gateways_have_no_token_and_a_budget_that_never_blocks_a_drain(name: str) -> None:
    objects = overlay(name)
    for owner, template in templates(objects):
        if "asya-operator" not in owner:
            assert template["spec"]["automountServiceAccountToken"] is False, owner
    budgets = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "PodDisruptionBudget")}
    assert set(budgets) == {"asya-gateway-api", "asya-gateway-mesh"}
    assert all(spec["maxUnavailable"] == 1 and "minAvailable" not in spec for spec in budgets.values())


def test_the_operator_api_and_mesh_are_two_each() -> None:
    replicas = {each["metadata"]["name"]: each["spec"]["replicas"] for each in of_kind(overlay("kind"), "Deployment")}
    assert {name: replicas[name] for name in ("asya-gateway-api", "asya-gateway-mesh", "asya-operator")} == {
        "asya-gateway-api": 2, "asya-gateway-mesh": 2, "asya-operator": 2,
    }  # fmt: skip


def test_where_an_autoscaler_is_the_manifest_names_no_replicas() -> None:
    objects = overlay("production")
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(objects, "HorizontalPodAutoscaler")}
    assert scaled == {"asya-gateway-api"}
    for each in of_kind(objects, "Deployment"):
        assert ("replicas" in each["spec"]) != (each["metadata"]["name"] in scaled)


def test_nothing_exposes_mesh_outside_the_cluster(everything: tuple[dict[str, Any], ...]) -> None:
    for objects in (everything, *(overlay(name) for name in OVERLAYS)):
        mesh = [t for owner, t in templates(objects) if owner == "Deployment/asya-gateway-mesh"]
        assert len(mesh) == 1
        labels = mesh[0]["metadata"]["labels"]
        reaching = [
            each
            for each in of_kind(objects, "Service")
            if each["spec"].get("selector") and each["spec"]["selector"].items() <= labels.items()
            and any(port.get("targetPort") in ("http", 8080) for port in each["spec"]["ports"])
        ]  # fmt: skip
        assert [each["metadata"]["name"] for each in reaching] == ["asya-gateway-mesh"]
        for each in of_kind(objects, "Service"):
            assert each["spec"].get("type", "ClusterIP") == "ClusterIP", each["metadata"]["name"]
            assert "externalIPs" not in each["spec"]
        for owner, template in templates(objects):
            assert not template["spec"].get("hostNetwork"), owner
            for container in template["spec"]["containers"]:
                assert all("hostPort" not in port for port in container.get("ports", [])), owner
        for each in of_kind(objects, "HTTPRoute"):
            backends = [backend["name"] for rule in each["spec"]["rules"] for backend in rule["backendRefs"]]
            assert backends == ["asya-gateway-api"]
            (api,) = [template for owner, template in templates(objects) if owner == "Deployment/asya-gateway-api"]
            public = {item["name"]: item.get("value") for item in api["spec"]["containers"][0]["env"]}[
                "ASYA_PUBLIC_URL"
            ]
            assert each["spec"]["hostnames"] == [public.removeprefix("https://")], "the api refuses unknown hosts"
        routed = json.dumps(
            [each for each in objects if each["kind"] in ("HTTPRoute", "Ingress", "GRPCRoute", "TCPRoute")]
        )
        assert "asya-gateway-mesh" not in routed


def container(objects: Any, name: str) -> dict[str, Any]:
    (template,) = [template for owner, template in templates(objects) if owner == f"Deployment/{name}"]
    found: dict[str, Any] = template["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("mode", ["api", "mesh"])
def test_a_gateway_with_authentication_stays_closed_whatever_becomes_of_its_secrets(
    mode: str, everything: tuple[dict[str, Any], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mesh too: its tasks would otherwise belong to the callers of an open gateway."""
    for name in [each for each in os.environ if each.startswith("ASYA_")]:
        monkeypatch.delenv(name)
    for objects, closed in ((everything, True), (overlay("kind"), False), (overlay("production"), False)):
        variables = {item["name"]: item.get("value", "") for item in container(objects, f"asya-gateway-{mode}")["env"]}
        with monkeypatch.context() as pod:
            for name in {"ASYA_GATEWAY_MODE", "ASYA_AUTH"} & variables.keys():
                pod.setenv(name, variables[name])
            settings = Settings()
        assert (settings.gateway_mode, settings.closed) == (mode, closed)


def test_only_api_pods_get_the_secrets_of_authentication(everything: tuple[dict[str, Any], ...]) -> None:
    holders = {owner for owner, template in templates(everything) if "asya-auth" in json.dumps(template)}
    assert holders == {"Deployment/asya-gateway-api"}


PAGE = ROOT / "docs" / "how-to" / "authentication.md"


@pytest.mark.parametrize("number", range(5))
def test_the_overlays_of_the_page_about_authentication_are_built_as_they_stand(number: int, tmp_path: Path) -> None:
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    mine = tmp_path / "manifests" / "overlays" / "mine"
    mine.mkdir()
    (mine / "keys.yaml").write_text("keys: []\n")
    overlays = re.findall(r"```yaml\n(resources:.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(overlays) == 5
    (mine / "kustomization.yaml").write_text(overlays[number])
    objects = built(mine)
    assert {"name": "ASYA_AUTH", "value": "required"} in container(objects, "asya-gateway-mesh")["env"]
    [settings] = [each for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"] == "asya-auth"]
    patches = yaml.safe_load(overlays[number]).get("patches", [])
    expected = {name: value for each in patches for name, value in yaml.safe_load(each["patch"])["data"].items()}
    assert settings.get("data", {}) == expected


ACTOR = {"asya.sh/component": "actor", "asya.sh/actor": "a"}
PEERS = {
    "anybody outside": Peer(address="203.0.113.9"),
    "ingress": Peer({"app": "ingress"}, namespace="ingress-nginx"),
    "monitoring": Peer({"app": "prometheus"}, namespace="monitoring"),
    "KEDA": Peer({"app": "keda-operator"}, namespace="keda"),
    "stranger": Peer({"app": "x"}, namespace="other"),
    "api": Peer({"asya.sh/component": "gateway-api"}),
    "mesh": Peer({"asya.sh/component": "gateway-mesh"}),
    "operator": Peer({"asya.sh/component": "operator"}),
    "actor": Peer(ACTOR),
    "foreign actor": Peer({"asya.sh/actor": "a"}),
    "crew": Peer({"asya.sh/component": "crew"}),
    "migrations": Peer({"asya.sh/component": "migrations"}),
    "Postgres": Peer({"app.kubernetes.io/name": "postgres"}),
    "RabbitMQ": Peer({"app.kubernetes.io/name": "rabbitmq"}),
    "metadata service": Peer(address="169.254.169.254"),
    "internet": Peer(address="8.8.8.8"),
    "API server": Peer(address="10.96.0.1"),
    "DNS": Peer({"k8s-app": "kube-dns"}, namespace="kube-system"),
}
TARGETS_ONLY = ("metadata service", "internet", "API server", "DNS")
PORTS = {
    "api": (8080, 9090), "mesh": (8080, 9090), "operator": (9090,), "actor": (9090,), "crew": (9090,),
    "Postgres": (5432,), "RabbitMQ": (5672, 15672), "metadata service": (80,), "internet": (443,), "API server": (443,),
    "DNS": (53,), "monitoring": (4317, 4318),
}  # fmt: skip


def table() -> dict[tuple[str, str, int], bool]:
    """Who reaches whom on which port, by the policies of the overlay `kind`."""
    policies = of_kind(overlay("kind"), "NetworkPolicy")
    return {
        (source, target, port): may_reach(policies, PEERS[source], PEERS[target], port)
        for source in PEERS
        if source not in TARGETS_ONLY
        for target, ports in PORTS.items()
        for port in ports
        if source != target
    }


def documented() -> set[tuple[str, str, int]]:
    """The rows of the table in docs/operations.md."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text.split("## Allowed network connections", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| (\d+) \|", section, re.MULTILINE)
    return {(source, target, int(port)) for source, target, port in rows}


def test_the_table_of_who_may_reach_whom_is_what_the_policies_say() -> None:
    ours = {"api", "mesh", "operator", "actor", "foreign actor", "crew", "migrations", "Postgres", "RabbitMQ"}
    allowed = {row for row, good in table().items() if good and (row[0] in ours or row[1] in ours)}
    assert allowed == documented()


def test_mesh_is_reached_by_actors_crew_and_operator_alone() -> None:
    reaching = {source for (source, target, port), good in table().items() if good and (target, port) == ("mesh", 8080)}
    assert reaching == {"actor", "foreign actor", "crew", "operator"}


SPECIAL = (
    "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "224.0.0.0/3",
    "2000::/3", "2001::/23", "2002::/16", "fc00::/7", "fe80::/10", "64:ff9b::/96", "::ffff:0:0/96",
)  # fmt: skip
ADDRESSES = st.one_of(
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address),
    st.sampled_from(SPECIAL)
    .map(ipaddress.ip_network)
    .flatmap(lambda net: st.integers(0, net.num_addresses - 1).map(lambda offset: net[offset])),
)


@given(ADDRESSES)
def test_api_pods_reach_what_the_gateways_client_calls_public_and_nothing_else(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    policies = of_kind(overlay("kind"), "NetworkPolicy")
    by_policy = may_reach(policies, PEERS["api"], Peer(address=str(address)), 443)
    assert by_policy == permits(Reach.PUBLIC, address, Allowed())
    assert not any(may_reach(policies, PEERS["api"], Peer(address=str(address)), port) for port in (80, 8080, 8443))


@pytest.mark.parametrize("text", ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "10.96.0.1"])
def test_gateways_and_crew_reach_neither_metadata_services_nor_the_api_server(text: str) -> None:
    policies = of_kind(overlay("kind"), "NetworkPolicy")
    assert not any(may_reach(policies, PEERS[each], Peer(address=text), 443) for each in ("api", "mesh", "crew"))


PROGRAMS = ("api", "mesh", "operator", "crew", "actor", "foreign actor")
METADATA_SERVER = (("169.254.169.254", 80), ("169.254.169.252", 988))


def test_on_gcp_every_program_reaches_the_metadata_server_and_pubsub_and_nobody_else_does() -> None:
    """GKE: the first address with Dataplane V2, the second without. Pub/Sub has public addresses."""
    policies = of_kind(overlay("gcp"), "NetworkPolicy")
    for name in (*PROGRAMS, "migrations"):
        needed = name != "migrations"
        for address, port in METADATA_SERVER:
            assert may_reach(policies, PEERS[name], Peer(address=address), port) == needed, name
        assert may_reach(policies, PEERS[name], PEERS["internet"], 443) == needed, name


@pytest.mark.parametrize("address", ["10.96.0.1", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"])
def test_on_gcp_gateways_and_crew_reach_no_private_address_on_443(address: str) -> None:
    policies = of_kind(overlay("gcp"), "NetworkPolicy")
    assert not any(may_reach(policies, PEERS[each], Peer(address=address), 443) for each in ("api", "mesh", "crew"))


def test_on_gcp_every_program_has_a_service_account_of_its_own_and_no_secret_for_the_queues() -> None:
    objects = overlay("gcp")
    accounts = {
        each["metadata"]["name"]: each["metadata"]["annotations"] for each in of_kind(objects, "ServiceAccount")
    }
    assert {name: set(annotations) for name, annotations in accounts.items()} == {
        name: {"iam.gke.io/gcp-service-account"} for name in ("asya-gateway", "asya-actors", "asya-operator")
    }
    of = {owner: template["spec"] for owner, template in templates(objects)}
    assert {owner: spec["serviceAccountName"] for owner, spec in of.items() if owner.startswith("Deployment/")} == {
        "Deployment/asya-gateway-api": "asya-gateway",
        "Deployment/asya-gateway-mesh": "asya-gateway",
        "Deployment/asya-crew": "asya-actors",
        "Deployment/asya-operator": "asya-operator",
    }
    needed = {
        each["secretRef"]["name"]
        for spec in of.values()
        for container in spec["containers"]
        for each in container.get("envFrom", [])
        if "secretRef" in each and not each["secretRef"].get("optional")
    }
    assert needed == set()
    (settings,) = [each for each in objects if each["metadata"]["name"] == "asya-settings"]
    described = describe(settings["data"]["ASYA_TRANSPORT"])
    assert described.name == "pubsub"
    assert described.read(settings["data"]).place == "my-project"


SQS_ENDPOINT = Peer(address="10.0.128.7")


def test_on_aws_every_program_reaches_the_private_endpoints_of_sqs_and_nobody_else_does() -> None:
    policies = of_kind(overlay("aws"), "NetworkPolicy")
    for name in (*PROGRAMS, "migrations"):
        assert may_reach(policies, PEERS[name], SQS_ENDPOINT, 443) == (name != "migrations"), name


@pytest.mark.parametrize("address", ["10.96.0.1", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"])
def test_on_aws_gateways_and_crew_reach_no_other_private_address_on_443(address: str) -> None:
    policies = of_kind(overlay("aws"), "NetworkPolicy")
    assert not any(may_reach(policies, PEERS[each], Peer(address=address), 443) for each in ("api", "mesh", "crew"))


def test_on_aws_every_program_has_a_role_of_its_own_and_no_secret_for_the_queues() -> None:
    objects = overlay("aws")
    roles = {
        each["metadata"]["name"]: each["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].rpartition("/")[2]
        for each in of_kind(objects, "ServiceAccount")
    }
    assert roles == {name: name for name in ("asya-gateway", "asya-actors", "asya-operator")}
    of = {owner: template["spec"] for owner, template in templates(objects)}
    assert {owner: spec["serviceAccountName"] for owner, spec in of.items() if owner.startswith("Deployment/")} == {
        "Deployment/asya-gateway-api": "asya-gateway",
        "Deployment/asya-gateway-mesh": "asya-gateway",
        "Deployment/asya-crew": "asya-actors",
        "Deployment/asya-operator": "asya-operator",
    }
    needed = [
        each["secretRef"]["name"]
        for spec in of.values()
        for container in spec["containers"]
        for each in container.get("envFrom", [])
        if "secretRef" in each and not each["secretRef"].get("optional")
    ]
    assert needed == []
    (settings,) = [each for each in objects if each["metadata"]["name"] == "asya-settings"]
    described = describe(settings["data"]["ASYA_TRANSPORT"])
    assert described.name == "sqs"
    assert described.read(settings["data"]).place == "us-east-1"


def test_the_evaluator_itself_knows_the_rules() -> None:
    def policy(**spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": "p", "namespace": "asya"}, "spec": {"podSelector": {}, **spec}}

    a, b = Peer({"app": "a"}), Peer({"app": "b"})
    assert may_reach([], a, b, 80), "without a policy everything is open"
    assert not may_reach([policy(policyTypes=["Ingress"])], a, b, 80)
    from_a = {"from": [{"podSelector": {"matchLabels": {"app": "a"}}}], "ports": [{"port": 80}]}
    assert may_reach([policy(policyTypes=["Ingress"], ingress=[from_a])], a, b, 80)
    assert not may_reach([policy(policyTypes=["Ingress"], ingress=[from_a])], a, b, 81)
    other = Peer({"app": "a"}, namespace="other")
    assert not may_reach([policy(policyTypes=["Ingress"], ingress=[from_a])], other, b, 80), "pods of this namespace"
    anywhere = {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "a"}}}]}
    assert may_reach([policy(policyTypes=["Ingress"], ingress=[anywhere])], other, b, 80)
    block = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]}
    out = [policy(policyTypes=["Egress"], egress=[block])]
    assert may_reach(out, a, Peer(address="198.51.100.7"), 443)
    assert not may_reach(out, a, Peer(address="169.254.169.254"), 80)


def test_kind_config_has_nodes_to_spread_over() -> None:
    config = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    assert Path(MANIFESTS / "overlays" / "kind" / "kustomization.yaml").exists()

"""The Helm chart installs what the manifests install: every object is compared."""

import copy
import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.chart import CHART, helm, helm_program, readme, rendered
from servers.control_plane import ControlPlane, assets
from servers.processes import ServerUnavailable
from tests.kubernetes.manifests import MANIFESTS, OVERLAYS, ROOT, built, templates, with_components
from tests.kubernetes.test_manifests import OPTIONAL_KINDS, moved, restricted, stub
from tests.support.missing import missing

Object = dict[str, Any]
Key = tuple[str, str]

API_OWNS = {
    ("Deployment", "asya-gateway-api"),
    ("Service", "asya-gateway-api"),
    ("PodDisruptionBudget", "asya-gateway-api"),
    ("ConfigMap", "gateway-flows"),
    ("Role", "asya-flow-exposer"),
    ("RoleBinding", "asya-flow-exposers"),
    ("ConfigMap", "asya-settings"),
}
"""What a release in the mode `api` installs of the base; everything else is of a release in the mode `mesh`."""
COMPONENTS: dict[str, tuple[Object, set[Key]]] = {
    "authentication": ({"authentication": {"enabled": True}}, {("ConfigMap", "asya-auth")}),
    "autoscaling": ({"autoscaling": {"enabled": True}}, {("HorizontalPodAutoscaler", "asya-gateway-api")}),
    "http-route": ({"httpRoute": {"enabled": True}}, {("HTTPRoute", "asya-gateway-api")}),
    "appprotocol": ({"agentgateway": {"enabled": True}}, {("Service", "asya-gateway-mcp")}),
}
"""Components that concern the half for callers: their values, and what they add."""
MESH_COMPONENTS: dict[str, tuple[Object, set[Key]]] = {
    "service-monitor": (
        {"serviceMonitor": {"enabled": True}},
        {("Service", "asya-metrics"), ("ServiceMonitor", "asya")},
    ),
    "alerts": (
        {"alerts": {"enabled": True}},
        {("PrometheusRule", "asya"), ("ConfigMap", "asya-dashboard")},
    ),
    "flavors": (
        {"operator": {"flavors": True}},
        {("ClusterRole", "asya-operator-flavors"), ("ClusterRoleBinding", "asya-operator-flavors")},
    ),
}
IMAGE = {"image": {"repository": "asya", "tag": "t"}}


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    try:
        helm_program()
        assets()
    except ServerUnavailable as reason:
        missing(reason)


def key_of(each: Object) -> Key:
    return each["kind"], each["metadata"]["name"]


def by_key(objects: Any) -> dict[Key, Object]:
    found = {key_of(each): each for each in objects}
    assert len(found) == len(tuple(objects)), "two objects have one name"
    return found


def alike(each: Object) -> Object:
    """Without what a chart must say otherwise: labels that say what installed it, the digest in the Job's name, that
    of a release's own settings, names of what belongs to the whole cluster, how the image is pulled, and that CRDs and
    flows are kept."""
    text = json.dumps(each)
    for name in ("asya-operator-flavors-asya", "asya-settings-api"):
        text = text.replace(name, name.rsplit("-", 1)[0])
    bare: Object = json.loads(text)
    metadata = bare["metadata"]
    metadata.pop("namespace", None)
    for label in ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/part-of"):
        metadata.get("labels", {}).pop(label, None)
    metadata.get("annotations", {}).pop("helm.sh/resource-policy", None)
    for empty in ("labels", "annotations"):
        if not metadata.get(empty):
            metadata.pop(empty, None)
    if bare["kind"] == "Job":
        metadata["name"] = metadata["name"][: len("asya-migrate-0-1-0")]
    for subject in bare.get("subjects", ()):
        subject.pop("namespace", None)
    for container in bare.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
        container.pop("imagePullPolicy", None)
        if container["image"] in ("asya", "asya:t"):
            container["image"] = "asya"
        container["env"] = sorted(container.get("env", ()), key=lambda one: str(one["name"]))
    return bare


def same(chart: Any, manifests: Any) -> None:
    """The same objects with the same content."""
    ours = {key_of(each): each for each in map(alike, chart)}
    theirs = {key_of(each): each for each in map(alike, manifests)}
    assert set(ours) == set(theirs)
    for key in sorted(ours):
        assert ours[key] == theirs[key], key


def base() -> list[Object]:
    return [copy.deepcopy(each) for each in built(MANIFESTS / "base")]


def crds() -> list[Object]:
    return [*built(ROOT / "crds"), *built(ROOT / "crds" / "async-actor")]


def half_of(objects: list[Object], mode: str) -> list[Object]:
    """What a release of the mode installs of these objects. Both have settings of their own."""
    own = (
        API_OWNS if mode == "api" else {key_of(each) for each in objects} - API_OWNS | {("ConfigMap", "asya-settings")}
    )
    return [each for each in objects if key_of(each) in own]


@pytest.mark.parametrize("mode", ["api", "mesh"])
def test_a_release_of_a_mode_installs_its_half_of_the_base(mode: str, tmp_path: Path) -> None:
    expected = half_of(base(), mode) + (crds() if mode == "mesh" else [])
    same(rendered({"mode": mode, **IMAGE}, tmp_path), expected)


def test_two_releases_own_every_object_once(tmp_path: Path) -> None:
    halves = [by_key(rendered({"mode": mode}, tmp_path)) for mode in ("api", "mesh")]
    assert set(halves[0]) & set(halves[1]) == set()


@pytest.mark.parametrize("name", [*COMPONENTS, *MESH_COMPONENTS])
@pytest.mark.parametrize("mode", ["api", "mesh"])
def test_a_value_does_what_its_component_does(mode: str, name: str, tmp_path: Path) -> None:
    of_mode = MESH_COMPONENTS if mode == "mesh" else COMPONENTS
    values, adds = of_mode.get(name, ({}, set()))
    # Mesh must know that the gateway is closed.
    if name == "authentication":
        values = COMPONENTS[name][0]
    objects = list(with_components(tmp_path / "k", [name]))
    half = half_of([each for each in objects if key_of(each) in {key_of(one) for one in base()}], mode)
    if name not in of_mode and name != "authentication":
        half = half_of(base(), mode)
    half += [each for each in objects if key_of(each) in adds]
    same(rendered({"mode": mode, **IMAGE, **values}, tmp_path), half + (crds() if mode == "mesh" else []))


PRODUCTION: Object = {
    "image": {"repository": "registry.example.com/asya", "tag": "0.1.0"},
    "autoscaling": {"enabled": True},
    "resources": {"requests": {"cpu": "1", "memory": "384Mi"}, "limits": {"memory": "1Gi"}},
}


def on_cloud(provider: str, transport: str, settings: Object, annotation: str, role: str) -> Object:
    """The values of an overlay for a cloud; `role` has a place for the program's name."""
    return {
        **PRODUCTION,
        "config": {"transport": transport, "settings": settings},
        "cloud": {
            "provider": provider,
            **{
                f"{name}Annotations": {annotation: role.format(f"asya-{name}")}
                for name in ("gateway", "actors", "operator")
            },
        },
    }


OVERLAY_VALUES: dict[str, Object] = {
    "kind": {
        "image": {"repository": "localhost/asya", "tag": "dev"},
        "config": {"transport": "rabbitmq"},
        "resources": {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}},
        "operator": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}},
        "crew": {"resources": {"requests": {"cpu": "50m", "memory": "96Mi"}}},
    },
    "production": PRODUCTION,
    "gcp": on_cloud(
        "gcp",
        "pubsub",
        {"ASYA_PUBSUB_PROJECT_ID": "my-project"},
        "iam.gke.io/gcp-service-account",
        "{}@my-project.iam.gserviceaccount.com",
    ),
    "aws": on_cloud(
        "aws",
        "sqs",
        {"ASYA_AWS_REGION": "us-east-1"},
        "eks.amazonaws.com/role-arn",
        "arn:aws:iam::111122223333:role/{}",
    ),
}
NOT_OF_THE_CHART = {"Namespace", "CustomResourceDefinition"}
OF_THE_LAPTOP = {"postgres", "rabbitmq", "rabbitmq-plugins", "asya-db", "asya-transport"}
"""What only the overlay `kind` brings: a database, a broker and passwords."""


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlays_settings_are_values(name: str, tmp_path: Path) -> None:
    expected = [
        each for each in map(alike, built(MANIFESTS / "overlays" / name)) if each["kind"] not in NOT_OF_THE_CHART
    ]
    theirs = {key_of(each): each for each in expected if each["metadata"]["name"] not in OF_THE_LAPTOP}
    found: set[Key] = set()
    for mode in ("api", "mesh"):
        for each in map(alike, rendered({"mode": mode, **OVERLAY_VALUES[name]}, tmp_path)):
            if each["kind"] not in NOT_OF_THE_CHART:
                assert each == theirs[key_of(each)], key_of(each)
                found.add(key_of(each))
    assert found == set(theirs)


def test_the_mode_testing_serves_both_halves_from_one_pod(tmp_path: Path) -> None:
    found = by_key(rendered({"mode": "testing"}, tmp_path))
    labels = found["Deployment", "asya-gateway-testing"]["spec"]["template"]["metadata"]["labels"]
    for half in ("api", "mesh"):
        selector = found["Service", f"asya-gateway-{half}"]["spec"]["selector"]
        assert selector.items() <= labels.items()
    assert ("ConfigMap", "gateway-flows") in found
    assert ("Deployment", "asya-operator") in found


def test_what_is_shared_can_be_given_to_either_release(tmp_path: Path) -> None:
    shared = {
        "flows": {"create": True},
        "migrations": {"enabled": True},
        "operator": {"enabled": True},
        "crew": {"enabled": True},
        "crds": {"create": True},
        "networkPolicies": {"create": True},
        "serviceAccounts": {"create": True},
    }
    none = {name: dict.fromkeys(each, False) for name, each in shared.items()}
    everything = set(by_key(rendered({"mode": "api", **shared}, tmp_path)))
    mesh = set(by_key(rendered({"mode": "mesh", **none}, tmp_path)))
    assert mesh == {
        ("ConfigMap", "asya-settings"),
        ("Deployment", "asya-gateway-mesh"),
        ("PodDisruptionBudget", "asya-gateway-mesh"),
        ("Service", "asya-gateway-mesh"),
    }
    assert everything & mesh == set()


@pytest.mark.parametrize("name", ["aws", "gcp"])
@pytest.mark.parametrize("without", [{}, {"crew": {"enabled": False}}, {"operator": {"enabled": False}}])
def test_every_program_on_a_cloud_has_its_service_account_of_one_release(
    name: str, without: Object, tmp_path: Path
) -> None:
    """Also where another installation has the crew or the operator."""
    values = {**OVERLAY_VALUES[name], **without}
    halves = [by_key(rendered({"mode": mode, **values}, tmp_path)) for mode in ("api", "mesh")]
    assert set(halves[0]) & set(halves[1]) == set()
    pods = [
        each["spec"]["template"]["spec"] for half in halves for each in half.values() if each["kind"] == "Deployment"
    ]
    run_as = {pod["serviceAccountName"] for pod in pods} | {"asya-actors"}
    found = {key: each for half in halves for key, each in half.items() if key[0] == "ServiceAccount"}
    assert {name for _, name in found} == run_as
    assert all(each["metadata"]["annotations"] for each in found.values())


def test_the_seeds_values_reach_the_database_without_a_password_in_the_dsn(tmp_path: Path) -> None:
    config = {
        "sqsRegion": "us-east-1",
        "postgresHost": "postgres.default.svc.cluster.local",
        "postgresDatabase": "asya_gateway",
        "postgresPasswordSecretRef": {"name": "postgres-secret", "key": "password"},
    }
    found: dict[Key, Object] = {}
    for mode in ("api", "mesh"):
        found = by_key(rendered({"mode": mode, "config": config}, tmp_path))
        container = found["Deployment", f"asya-gateway-{mode}"]["spec"]["template"]["spec"]["containers"][0]
        env = {each["name"]: each.get("value") or each["valueFrom"] for each in container["env"]}
        assert env["ASYA_DATABASE_URL"] == "postgresql://asya@postgres.default.svc.cluster.local:5432/asya_gateway"
        assert env["PGPASSWORD"] == {"secretKeyRef": {"name": "postgres-secret", "key": "password"}}
    assert found["ConfigMap", "asya-settings"]["data"]["ASYA_SQS_REGION"] == "us-east-1"


def test_names_with_blanks_and_signs_reach_the_database_as_they_are(tmp_path: Path) -> None:
    """In a path a plus is a plus (RFC 3986, 3.3), and no blank as in a form."""
    config = {"postgresHost": "h", "postgresUsername": "a b@c", "postgresDatabase": "a+b c/d"}
    container = by_key(rendered({"mode": "api", "config": config}, tmp_path))["Deployment", "asya-gateway-api"]["spec"][
        "template"
    ]["spec"]["containers"][0]
    [url] = [each["value"] for each in container["env"] if each["name"] == "ASYA_DATABASE_URL"]
    assert url == "postgresql://a%20b%40c@h:5432/a%2Bb%20c%2Fd"


def test_flows_and_crds_outlive_a_release_and_flows_have_no_data(tmp_path: Path) -> None:
    every = [*rendered({"mode": "api"}, tmp_path), *rendered({"mode": "mesh"}, tmp_path)]
    kept = {key_of(each) for each in every if "helm.sh/resource-policy" in each["metadata"].get("annotations", {})}
    assert kept == {
        ("ConfigMap", "gateway-flows"),
        ("CustomResourceDefinition", "flows.asya.sh"),
        ("CustomResourceDefinition", "asyncactors.asya.sh"),
    }
    assert "data" not in by_key(every)["ConfigMap", "gateway-flows"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mode", "both"),
        ("config.transport", "kafka"),
        ("config.postgresHosts", "h"),
        ("config.postgresPort", "many"),
        ("config.settings", {"asya_log": "x"}),
        ("replicas", 3),
    ],
)
def test_a_value_that_is_misspelt_or_wrong_is_refused_by_name(path: str, value: Any, tmp_path: Path) -> None:
    values: Any = value
    for name in reversed(path.split(".")):
        values = {name: values}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    done = helm("template", "r", str(CHART), "--values", str(tmp_path / "values.yaml"), check=False)
    assert done.returncode != 0
    assert path.rsplit(".", 1)[-1].replace("settings", "asya_log") in done.stderr


@pytest.mark.parametrize("mode", ["api", "mesh", "testing"])
def test_helm_lint_has_nothing_to_say(mode: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--set", f"mode={mode}")
    assert "[WARNING]" not in done.stdout
    assert "[ERROR]" not in done.stdout


@pytest.mark.parametrize("mode", ["api", "mesh", "testing"])
def test_every_object_passes_a_server_side_dry_run(
    mode: str, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    restricted(control_plane, namespace)
    for kind in OPTIONAL_KINDS:
        control_plane.apply(stub(*kind))
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/{kind[3]}.{kind[0]}")
    values: Object = {"mode": mode, "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls"}}
    for given, _ in (*COMPONENTS.values(), *MESH_COMPONENTS.values()):
        values |= given
    objects = rendered(values, tmp_path)
    done = control_plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "-f", "-", stdin=moved(objects, namespace), namespace=namespace
    )
    assert done.stderr.strip() == ""
    assert templates(objects)


def test_the_readme_lists_every_value() -> None:
    assert (CHART / "README.md").read_text() == readme()
    names = {row.split("`")[1] for row in readme().splitlines() if row.startswith("| `")}
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert names == _leaves(schema["properties"], schema["definitions"]) - {"global"}


def _leaves(properties: Object, definitions: Object, above: str = "") -> set[str]:
    found = set()
    for name, each in properties.items():
        path = f"{above}{name}"
        whole = definitions[each["$ref"].rsplit("/", 1)[1]] if "$ref" in each else each
        inner = whole.get("properties")
        found |= {path} if inner is None or "$ref" in each else _leaves(inner, definitions, f"{path}.")
    return found


def test_the_versions_of_chart_and_program_are_one() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_a_package_of_the_chart_holds_the_crds(tmp_path: Path) -> None:
    helm("package", str(CHART), "--destination", str(tmp_path))
    listed = subprocess.run(
        ["tar", "tzvf", str(next(tmp_path.glob("*.tgz")))], capture_output=True, text=True, check=True
    ).stdout
    assert "asya-gateway/files/flow.yaml" in listed
    assert " -> " not in listed

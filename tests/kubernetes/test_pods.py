"""The pods of the manifests: their placement, readiness, termination and monitoring."""

from pathlib import Path
from typing import Any

import pytest

from asya_crds.durations import parse_duration
from tests.kubernetes.manifests import OVERLAYS, Object, of_kind, overlay, templates, with_components

OURS = tuple(f"Deployment/asya-{name}" for name in ("gateway-api", "gateway-mesh", "operator", "crew"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Object, ...]:
    """The base with every component."""
    folder: Path = tmp_path_factory.mktemp("all")
    return with_components(folder)


def programs(objects: tuple[Object, ...]) -> dict[str, Object]:
    found = {owner: template for owner, template in templates(objects) if owner in OURS}
    assert set(found) == set(OURS)
    return found


def matches(selector: dict[str, str], template: Object) -> bool:
    return bool(selector.items() <= template["metadata"]["labels"].items())


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_of_one_kind_are_spread_over_nodes_and_gateways_over_zones(name: str) -> None:
    for owner, template in programs(overlay(name)).items():
        constraints = template["spec"]["topologySpreadConstraints"]
        for each in constraints:
            assert each["maxSkew"] == 1
            # A cluster of one node, or a zone that is full, must not keep a pod from starting.
            assert each["whenUnsatisfiable"] == "ScheduleAnyway"
            assert matches(each["labelSelector"]["matchLabels"], template), owner
        keys = {each["topologyKey"] for each in constraints}
        zones = {"topology.kubernetes.io/zone"} if "gateway" in owner else set()
        assert keys == {"kubernetes.io/hostname"} | zones, owner


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_program_has_three_probes_on_ports_that_it_names(name: str) -> None:
    for owner, template in programs(overlay(name)).items():
        (container,) = template["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        alive, ready = container["livenessProbe"]["httpGet"], container["readinessProbe"]["httpGet"]
        assert container["startupProbe"]["httpGet"] == alive, owner
        assert {alive["port"], ready["port"]} <= ports, owner
        paths = ("/healthz", "/readyz") if "operator" in owner else ("/health", "/health/ready")
        assert (alive["path"], ready["path"]) == paths, owner


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_gateway_has_more_time_to_end_than_its_drain_takes(name: str) -> None:
    for owner, template in programs(overlay(name)).items():
        if "gateway" not in owner:
            continue
        spec = template["spec"]
        values = {item["name"]: item.get("value") for item in spec["containers"][0]["env"]}
        drain = parse_duration(values["ASYA_DRAIN_DELAY"]) + parse_duration(values["ASYA_DRAIN_TIMEOUT"])
        assert spec["terminationGracePeriodSeconds"] >= drain + 10, owner
        # Endpoints must have forgotten the pod while it still accepts.
        assert parse_duration(values["ASYA_DRAIN_DELAY"]) >= 5


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_update_never_takes_a_pod_away_before_another_one_is_ready(name: str) -> None:
    for each in of_kind(overlay(name), "Deployment"):
        rolling = each["spec"]["strategy"]["rollingUpdate"]
        assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1), each["metadata"]["name"]


def test_disruption_budgets_and_the_autoscaler_mean_pods_that_exist(everything: tuple[Object, ...]) -> None:
    for name, objects in (("all", everything), *((name, overlay(name)) for name in OVERLAYS)):
        pods = programs(objects)
        for each in of_kind(objects, "PodDisruptionBudget"):
            labels = each["spec"]["selector"]["matchLabels"]
            meant = [owner for owner, template in pods.items() if matches(labels, template)]
            assert meant == [f"Deployment/{each['metadata']['name']}"], name
        for each in of_kind(objects, "HorizontalPodAutoscaler"):
            target = each["spec"]["scaleTargetRef"]
            template = pods[f"{target['kind']}/{target['name']}"]
            assert 2 <= each["spec"]["minReplicas"] < each["spec"]["maxReplicas"]
            for metric in each["spec"]["metrics"]:
                wanted = template["spec"]["containers"][0]["resources"]["requests"]
                assert metric["resource"]["name"] in wanted, "utilization is a share of what is requested"


def test_the_service_monitor_finds_the_metrics_of_every_program(everything: tuple[Object, ...]) -> None:
    (monitor,) = of_kind(everything, "ServiceMonitor")
    services = [
        each
        for each in of_kind(everything, "Service")
        if monitor["spec"]["selector"]["matchLabels"].items() <= each["metadata"].get("labels", {}).items()
    ]
    assert [each["metadata"]["name"] for each in services] == ["asya-metrics"]
    (endpoint,) = monitor["spec"]["endpoints"]
    (port,) = services[0]["spec"]["ports"]
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    for owner, template in programs(everything).items():
        assert matches(services[0]["spec"]["selector"], template), owner
        named: dict[str, Any] = {
            each["name"]: each["containerPort"] for each in template["spec"]["containers"][0]["ports"]
        }
        assert named[port["targetPort"]] == 9090, owner


def test_services_say_what_is_spoken_and_an_mcp_upstream_is_marked(everything: tuple[Object, ...]) -> None:
    spoken = {
        each["metadata"]["name"]: [port.get("appProtocol") for port in each["spec"]["ports"]]
        for each in of_kind(everything, "Service")
        if each["metadata"]["name"] != "asya-metrics"
    }
    assert spoken == {
        "asya-gateway-api": ["http"],
        "asya-gateway-mesh": ["http"],
        "asya-gateway-mcp": ["agentgateway.dev/mcp"],
    }
    (mcp,) = [each for each in of_kind(everything, "Service") if each["metadata"]["name"] == "asya-gateway-mcp"]
    assert mcp["metadata"]["annotations"] == {"agentgateway.dev/mcp-path": "/mcp"}
    pods = programs(everything)
    reached = [owner for owner, template in pods.items() if matches(mcp["spec"]["selector"], template)]
    assert reached == ["Deployment/asya-gateway-api"]

"""The API server itself accepts what users write and refuses mistakes with a message that helps."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.control_plane import ControlPlane

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples" / "async-actors").glob("*.yaml"))


def flow(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {"name": "shout"},
        "spec": {"entrypoint": "shout", **spec},
    }


def actor(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "AsyncActor",
        "metadata": {"name": "shout"},
        "spec": {"actor": "shout", "image": "example/shout:1", "handler": "shout.process", **spec},
    }


def refusal(plane: ControlPlane, document: dict[str, Any], namespace: str) -> str:
    """What the API server says when it refuses the object."""
    said = plane.refusal(document, namespace)
    assert said, "was accepted"
    return said


def test_both_crds_are_structural_and_established(control_plane: ControlPlane) -> None:
    # "Non-structural schemas ... NonStructuralSchema condition" (Kubernetes, CustomResourceDefinition v1).
    for name in ("flows.asya.sh", "asyncactors.asya.sh"):
        crd = control_plane.get("CustomResourceDefinition", name)
        conditions = {item["type"]: item["status"] for item in crd["status"]["conditions"]}
        assert conditions["Established"] == "True"
        assert conditions["NamesAccepted"] == "True"
        assert "NonStructuralSchema" not in conditions


def test_short_names_and_the_category_find_both_kinds(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(flow(mcp={}), actor(), namespace=namespace)
    for name in ("flw", "asya"):
        assert control_plane.kubectl("get", name, "-o", "name", namespace=namespace).stdout.split()


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("flows", ["NAME", "ENTRYPOINT", "ACCEPTED", "RESOLVED", "PROGRAMMED", "AGE"]),
        ("asyncactors", ["NAME", "ACTOR", "STATUS", "REPLICAS", "AGE"]),
    ],
)
def test_kubectl_get_shows_how_an_object_is(
    kind: str, columns: list[str], control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.apply(flow(mcp={}), actor(), namespace=namespace)
    header = control_plane.kubectl("get", kind, namespace=namespace).stdout.splitlines()[0]
    assert header.split() == columns


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_manifest_in_a_public_shape_is_accepted(path: Path, control_plane: ControlPlane, namespace: str) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        control_plane.apply(document, namespace=namespace)
        stored = control_plane.get("asyncactor", document["metadata"]["name"], namespace=namespace)
        assert stored["spec"] == document["spec"], "nothing that the user wrote may be pruned"


def test_there_are_examples_of_every_public_shape() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"entrypoint": "Not_An_Actor"}, "expected an actor name"),
        ({"entrypoint": "x-sink"}, "x-sink, x-sump and x-resume are reached by themselves"),
        ({"entrypoint": "x-pause"}, "x-pause needs an actor before it"),
        ({"routeNext": ["x-sump"]}, "x-sink, x-sump and x-resume are reached by themselves"),
        ({"scopes": ["two words"]}, "expected a scope of 1 to 128 printable characters"),
        ({"routeNext": ["ok", "Bad"]}, "expected an actor name"),
        ({"name": "two words"}, "expected a flow name"),
        ({"timeout": "soon"}, "expected a duration above 0 such as 10s, 5m, 1h30m"),
        ({"timeout": 0}, "expected a duration above 0 such as 10s, 5m, 1h30m"),
        ({"maxPause": 0}, "expected a duration above 0 such as 10s, 5m, 1h30m"),
        ({"mcp": True}, "spec.mcp"),
        ({"mcp": {"task": "sometimes"}}, "spec.mcp.task"),
        ({"mcp": {"resource": {}}}, "expected either uri or uriTemplate"),
        ({"mcp": {"resource": {"uri": "a://b", "uriTemplate": "a://{b}"}}}, "expected either uri or uriTemplate"),
        ({"mcp": {"resource": {"uriTemplate": "a://{b}", "size": 1}}}, "size: expected only with uri"),
        ({"mcp": {"icons": [{"src": "http://example.com/i.png"}]}}, "expected an https: URL, or a data: URI"),
        ({"mcp": {"icons": [{"src": "https://example.com/i.png"}] * 17}}, "spec.mcp.icons"),
        ({"mcp": {"prompt": {"arguments": [{"description": "d"}]}}}, "spec.mcp.prompt.arguments[0].name"),
        ({"tags": ["sse"]}, "expected the name of a set"),
        ({"tags": ["two words"]}, "expected the name of a set"),
        ({"description": "x" * 4097}, "spec.description"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_flow_is_refused_with_our_message(
    spec: dict[str, Any], message: str, control_plane: ControlPlane, namespace: str
) -> None:
    assert message in refusal(control_plane, flow(**spec), namespace)


@pytest.mark.parametrize("timeout", ["10s", "1h30m", "250ms", "1.5h", "90", 120, 1])
def test_every_spelling_of_a_timeout_is_accepted(timeout: Any, control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(flow(timeout=timeout, maxPause=timeout), namespace=namespace)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"actor": None}, "spec.actor: required"),
        ({"image": None}, "spec.image: required"),
        ({"handler": None}, "spec.handler: required: module.function or module.Class.method"),
        ({"handler": "process"}, "expected module.function or module.Class.method"),
        ({"actor": "Shout"}, "expected an actor name"),
        ({"scaling": {"minReplicaCount": 5, "maxReplicaCount": 2}}, "minReplicaCount must not exceed maxReplicaCount"),
        ({"sidecars": [{"name": "asya-mine", "image": "x"}]}, "names that begin with asya- belong to the operator"),
        ({"initContainers": [{"name": "asya-mine", "image": "x"}]}, "names that begin with asya- belong"),
        ({"resiliency": {"actorTimeout": "a while"}}, "expected a duration such as 10s, 5m, 1h30m"),
        ({"resiliency": {"rules": [{"errors": [], "policy": "p"}]}}, "should have at least 1 items"),
        ({"imagePullPolicy": "Sometimes"}, "spec.imagePullPolicy"),
        ({"replicas": -1}, "spec.replicas"),
        ({"stateProxy": [{"name": "s", "mount": {"path": "x"}, "connector": {"image": "i"}}]}, "mount.path"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_actor_is_refused_with_our_message(
    spec: dict[str, Any], message: str, control_plane: ControlPlane, namespace: str
) -> None:
    document = actor(**spec)
    document["spec"] = {key: value for key, value in document["spec"].items() if value is not None}
    assert message in refusal(control_plane, document, namespace)


def test_the_name_of_an_actor_stays(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(actor(), namespace=namespace)
    assert "spec.actor: cannot be changed" in refusal(control_plane, actor(actor="other"), namespace)
    control_plane.apply(actor(image="example/shout:2"), namespace=namespace)
    older = {"workload": {"template": {"spec": {"containers": [{"name": "asya-runtime", "image": "example/old:1"}]}}}}
    named_by_metadata = {**actor(), "metadata": {"name": "old"}, "spec": older}
    control_plane.apply(named_by_metadata, namespace=namespace)
    control_plane.apply({**named_by_metadata, "spec": actor(actor="old")["spec"]}, namespace=namespace)

"""From `kubectl apply` to mesh: what is pushed, and which conditions are written."""

import json
import time
from typing import Any

from asya_operator.domain.report import REPORT_ANNOTATION
from servers.control_plane import ControlPlane
from servers.operator_process import wait_for
from tests.kubernetes.conftest import StartOperator
from tests.kubernetes.recording_mesh import RecordingMesh


def flow(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "Flow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "shout", "mcp": {}, **spec},
    }


def actor(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "asya.sh/v1alpha1",
        "kind": "AsyncActor",
        "metadata": {"name": name},
        "spec": {"actor": name, "image": "example/a:1", "handler": "a.process"},
    }


def configmap(text: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "gateway-flows"},
        "data": {"flows.yaml": text},
    }


class Cluster:
    """One namespace as a test sees it."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def apply(self, *documents: dict[str, Any]) -> None:
        self.plane.apply(*documents, namespace=self.namespace)

    def conditions(self, name: str) -> dict[str, dict[str, Any]]:
        found = self.plane.get("flow", name, namespace=self.namespace)
        return {item["type"]: item for item in found.get("status", {}).get("conditions", [])}

    def wait_condition(self, name: str, type_: str, status: str, reason: str = "") -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            condition = self.conditions(name).get(type_)
            good = condition and condition["status"] == status and reason in ("", condition["reason"])
            return condition if good else None

        return wait_for(probe, f"{name} {type_}={status} {reason}")

    def report(self) -> dict[str, Any]:
        found = self.plane.get("configmap", "gateway-flows", namespace=self.namespace)
        report: dict[str, Any] = json.loads(found["metadata"].get("annotations", {}).get(REPORT_ANNOTATION, "{}"))
        return report


def test_a_flow_that_is_applied_is_pushed_and_programmed(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Cluster(control_plane, namespace)
    operator = start_operator()
    wait_for(operator.leading, "a leader")
    cluster.apply(flow("shout", description="Shouts."))
    wait_for(lambda: mesh.flow("shout"), "the push")
    condition = cluster.wait_condition("shout", "Programmed", "True")
    assert condition["observedGeneration"] == 1
    assert cluster.conditions("shout")["Accepted"]["status"] == "True"
    missing = cluster.conditions("shout")["ResolvedRefs"]
    assert (missing["status"], missing["reason"]) == ("False", "ActorNotFound")
    assert "shout" in missing["message"]

    cluster.apply(flow("shout", description="Shouts louder."))
    wait_for(lambda: (mesh.flow("shout") or {}).get("description") == "Shouts louder.", "the change")
    wait_for(
        lambda: cluster.conditions("shout")["Programmed"]["observedGeneration"] == 2, "the condition of the change"
    )
    control_plane.delete("flow", "shout", namespace)
    wait_for(lambda: not mesh.names(), "the flow's end")


def test_the_configmap_is_read_with_line_numbers_and_its_report_names_what_is_wrong(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Cluster(control_plane, namespace)
    start_operator()
    text = "flows:\n- name: good\n  entrypoint: a\n  mcp: {}\n- name: bad\n  entrypoint: Not_An_Actor\n"
    cluster.apply(configmap(text), flow("good"))
    wait_for(lambda: cluster.report().get("programmed"), "the report")
    report = cluster.report()
    assert report["served"] == 1
    assert [(item["name"], item["key"], item["line"]) for item in report["problems"]] == [("bad", "flows.yaml", 6)]
    loser = cluster.wait_condition("good", "Accepted", "False", "NameConflict")
    assert "ConfigMap gateway-flows, flows.yaml line 2" in loser["message"]

    def told() -> bool:
        events = control_plane.get("Event", namespace=namespace)["items"]
        return any("expected an actor name" in event["note"] for event in events)

    wait_for(told, "the Event, which follows the report")

    cluster.apply(configmap(""))
    cluster.wait_condition("good", "Programmed", "True")


def test_programmed_waits_for_every_live_pod(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Cluster(control_plane, namespace)
    mesh.set_pod("api-1", 0)
    start_operator()
    cluster.apply(flow("shout"))
    waiting = cluster.wait_condition("shout", "Programmed", "False", "Pending")
    wait_for(lambda: "api-1" in cluster.conditions("shout")["Programmed"]["message"], "the pod's name")
    assert waiting["type"] == "Programmed"
    mesh.set_pod("api-1", None)
    cluster.wait_condition("shout", "Programmed", "True")


def test_a_thousand_flows_applied_at_once_are_a_handful_of_pushes(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    # The API server is so busy with a thousand objects that a lease of seconds would be lost.
    operator = start_operator(ASYA_LEASE_DURATION="60s", ASYA_LEASE_RENEW_DEADLINE="45s", ASYA_LEASE_RETRY_PERIOD="2s")
    wait_for(operator.leading, "a leader")
    began = time.monotonic()
    for number in range(1000):
        control_plane.create(flow(f"flow-{number}"), namespace)
    took = time.monotonic() - began
    wait_for(lambda: len(mesh.names()) == 1000, "every flow", 180)
    # One every two seconds while they are still applied, and a few at the beginning and after each time that a busy
    # machine made that pause, when they come faster.
    assert len(mesh.registry.pushes) <= took / 2.0 + 20


def test_null_exposure_is_named_in_the_condition(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Cluster(control_plane, namespace)
    start_operator()
    control_plane.kubectl("create", "-f", "-", stdin=json.dumps(flow("shout", mcp=None)), namespace=namespace)
    assert "write `mcp: {}`" in cluster.wait_condition("shout", "Accepted", "False", "Invalid")["message"]
    assert "shout" not in mesh.names()


def test_what_a_flow_offers_beside_a_tool_is_pushed_as_it_was_written(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Cluster(control_plane, namespace)
    start_operator()
    mcp = {
        "tool": False,
        "title": "Greeting",
        "icons": [{"src": "https://example.com/i.png", "sizes": ["48x48"], "theme": "dark"}],
        "_meta": {"com.example/group": {"deep": [1, None, "x"]}},
        "prompt": {"arguments": [{"name": "who", "required": True, "enum": ["Ann", "Bob"]}]},
        "resource": {"uriTemplate": "docs://{+path}", "changes": True, "annotations": {"priority": 0.5}},
    }
    cluster.apply(flow("greeting", mcp=mcp, tags=["sales"]), flow("hidden", mcp={"tool": False}))
    cluster.wait_condition("greeting", "Programmed", "True")
    pushed = mesh.flow("greeting") or {}
    assert (pushed["mcp"], pushed["tags"]) == (mcp, ["sales"])
    hidden = cluster.wait_condition("hidden", "Accepted", "True", "NotExposed")
    assert "with `tool: false`, write `prompt: {}`" in hidden["message"]


def test_schemas_that_clients_would_drop_and_taken_prompts_are_refused_in_the_condition(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    """streamable-http, "Custom Headers from Tool Parameters"; server/tools: dialects of JSON Schema."""
    cluster = Cluster(control_plane, namespace)
    start_operator()
    draft = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    header = {"type": "object", "properties": {"a": {"type": "array", "x-mcp-header": "A"}}}
    cluster.apply(flow("first", mcp={"prompt": {"name": "taken"}}))
    cluster.wait_condition("first", "Accepted", "True")
    cluster.apply(
        flow("draft", mcp={"inputSchema": draft}),
        flow("header", mcp={"inputSchema": header}),
        flow("second", mcp={"prompt": {"name": "taken"}}),
        flow("template", mcp={"resource": {"uriTemplate": "a://{b}{c}"}}),
    )
    for name, reason, expected in (
        ("draft", "Invalid", "expected $schema to be https://json-schema.org/draft/2020-12/schema"),
        ("header", "Invalid", "x-mcp-header needs type integer, string or boolean"),
        ("second", "NameConflict", "the prompt taken is taken by Flow first"),
        ("template", "Invalid", "expected some text between two expressions"),
    ):
        assert expected in cluster.wait_condition(name, "Accepted", "False", reason)["message"]
    assert mesh.names() == {"first"}


def test_tool_sets_of_the_configmap_are_pushed_and_a_wrong_one_is_named(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Cluster(control_plane, namespace)
    start_operator()
    cluster.apply(configmap("sets:\n  sales: [shout]\n  sse: []\nflows:\n- name: shout\n  entrypoint: a\n  mcp: {}\n"))
    wait_for(lambda: cluster.report().get("programmed"), "the report")
    assert [(each["name"], each["flows"]) for each in mesh.registry.parts["configmap"]["sets"]] == [
        ("sales", ["shout"])
    ]
    (problem,) = cluster.report()["problems"]
    assert (problem["line"], "/mcp/sse has a meaning of its own" in str(problem)) == (3, True)


def test_an_exposure_that_server_side_apply_empties_exposes_with_defaults(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    """The API server stores null where the last field of a block is given up."""
    start_operator()
    for exposure in ({"title": "Shout"}, {}):
        text = json.dumps(flow("shout", mcp=exposure))
        control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=text, namespace=namespace)
        wait_for(lambda exposure=exposure: (mesh.flow("shout") or {}).get("mcp") == exposure, f"the push of {exposure}")  # type: ignore[misc]
    assert control_plane.get("flow", "shout", namespace=namespace)["spec"]["mcp"] is None
    Cluster(control_plane, namespace).wait_condition("shout", "Accepted", "True")


def test_conditions_are_written_only_when_they_change(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Cluster(control_plane, namespace)
    operator = start_operator(ASYA_RESYNC_INTERVAL="1s")
    cluster.apply(flow("shout"), configmap("flows: []"))
    cluster.wait_condition("shout", "Programmed", "True")
    wait_for(lambda: cluster.report().get("programmed"), "the report")
    before = control_plane.get("flow", "shout", namespace=namespace)["metadata"]["resourceVersion"]
    heard = mesh.registry.heartbeats
    cluster.apply(flow("other"))
    cluster.wait_condition("other", "Programmed", "True")
    wait_for(lambda: mesh.registry.heartbeats > heard, "another push")
    after = control_plane.get("flow", "shout", namespace=namespace)["metadata"]["resourceVersion"]
    assert after == before
    assert operator.process.poll() is None


def test_while_the_configmap_cannot_be_read_its_names_stay_taken_also_for_a_new_operator(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    cluster = Cluster(control_plane, namespace)
    operator = start_operator()
    cluster.apply(configmap("flows:\n- {name: one, entrypoint: map, mcp: {}}\n"), flow("one"))
    cluster.wait_condition("one", "Accepted", "False", "NameConflict")
    transition = cluster.conditions("one")["Accepted"]["lastTransitionTime"]
    cluster.apply(configmap("flows: [\n"))
    wait_for(lambda: "stay in force (one)" in str(cluster.report().get("problems")), "the report")
    assert (mesh.flow("one") or {})["entrypoint"] == "map"
    operator.stop()
    second = start_operator()
    wait_for(second.leading, "the next leader")
    cluster.apply(flow("two"))
    cluster.wait_condition("two", "Programmed", "True")
    said = cluster.conditions("one")["Accepted"]
    assert (said["reason"], said["lastTransitionTime"]) == ("NameConflict", transition), "it never said anything else"
    cluster.apply(configmap("flows: []\n"))
    cluster.wait_condition("one", "Programmed", "True")
    assert (mesh.flow("one") or {})["entrypoint"] == "shout"

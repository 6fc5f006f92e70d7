"""`asya flow expose | hide | list | diff` against a real API server, with an operator that says what became of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from servers.control_plane import ControlPlane
from servers.forking import Process, run, start
from servers.operator_process import wait_for
from tests.kubernetes.conftest import StartOperator
from tests.kubernetes.manifests import MANIFESTS
from tests.kubernetes.recording_mesh import RecordingMesh

Asya = Callable[..., Process]


@pytest.fixture
def asya(control_plane: ControlPlane, namespace: str) -> Asya:
    """Start the command line in the test's namespace."""
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": str(control_plane.kubeconfig(namespace=namespace))}

    def begin(*words: str) -> Process:
        return start("asya_cli", *words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return begin


def ended(process: Process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=90)
    return process.wait(), out, err


def flows_yaml(plane: ControlPlane, namespace: str) -> str:
    return str(plane.get("configmap", "gateway-flows", namespace=namespace)["data"]["flows.yaml"])


def test_expose_waits_until_the_flow_is_served_and_prints_where(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator, asya: Asya
) -> None:
    start_operator()
    code, out, err = ended(asya("flow", "expose", "shout", "-d", "Shouts.", "--url", "https://example.test/"))
    assert (code, mesh.flow("shout") is not None) == (0, True), err
    assert "+- name: shout" in out
    assert "https://example.test/mcp" in out
    code, out, err = ended(asya("flow", "list"))
    assert (code, "shout" in out and "served" in out) == (0, True), out + err
    code, out, err = ended(asya("unexpose", "shout"))
    assert code == 0, err
    wait_for(lambda: mesh.flow("shout") is None, "the flow's end")


def test_a_flow_resource_is_exposed_the_same_way(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator, asya: Asya
) -> None:
    start_operator()
    code, _, err = ended(asya("mcp", "expose", "shout", "-d", "Shouts.", "--in", "resource", "--route", "tail"))
    assert code == 0, err
    assert control_plane.get("flow", "shout", namespace=namespace)["spec"]["routeNext"] == ["tail"]
    assert (mesh.flow("shout") or {})["description"] == "Shouts."
    beside = control_plane.get("flow", "shout", namespace=namespace)["spec"] | {"name": "other"}
    flow = {"apiVersion": "asya.sh/v1alpha1", "kind": "Flow", "metadata": {"name": "elsewhere"}, "spec": beside}
    control_plane.apply(flow, namespace=namespace)
    # What is exposed as `elsewhere` is nothing, although a resource is called so.
    assert ended(asya("flow", "hide", "elsewhere"))[0] != 0
    assert ended(asya("flow", "hide", "shout"))[0] == 0
    names = [item["metadata"]["name"] for item in control_plane.get("Flow", namespace=namespace)["items"]]
    assert names == ["elsewhere"]


def test_the_exposers_role_is_sufficient_for_every_command_and_allows_nothing_else(
    control_plane: ControlPlane, namespace: str, mesh: RecordingMesh, start_operator: StartOperator
) -> None:
    control_plane.kubectl("create", "serviceaccount", "person", namespace=namespace)
    role, binding = yaml.safe_load_all((MANIFESTS / "base" / "flow-exposer.yaml").read_text())
    binding["subjects"] = [{"kind": "ServiceAccount", "name": "person", "namespace": namespace}]
    shipped = yaml.safe_load((MANIFESTS / "base" / "flows.yaml").read_text())
    control_plane.apply(role, binding, shipped, namespace=namespace)
    token = control_plane.kubectl("create", "token", "person", namespace=namespace).stdout.strip()
    kubeconfig = control_plane.kubeconfig(token, f"person-{namespace}", namespace)
    start_operator()

    def person(*words: str) -> subprocess.CompletedProcess[str]:
        return run("asya_cli", *words, env={"PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig)}, timeout=90)

    for words in (
        ("flow", "expose", "shout", "-d", "Shouts."),
        ("flow", "expose", "whisper", "-d", "Whispers.", "--in", "resource"),
        ("flow", "list"),
        ("flow", "hide", "shout"),
        ("flow", "hide", "whisper"),
    ):
        done = person(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    may = ("auth", "can-i", f"--as=system:serviceaccount:{namespace}:person")
    for beside in (("list", "secrets"), ("get", "configmaps"), ("patch", "asyncactors"), ("create", "pods")):
        assert control_plane.kubectl(*may, *beside, check=False, namespace=namespace).stdout.strip() == "no", beside


def test_people_who_expose_at_the_same_time_lose_nothing(
    control_plane: ControlPlane, namespace: str, asya: Asya
) -> None:
    names = [f"flow-{number}" for number in range(5)]
    running = [asya("flow", "expose", name, "-d", "Mine.", "--no-wait") for name in names]
    for process in running:
        code, _, err = ended(process)
        assert code == 0, err
    text = flows_yaml(control_plane, namespace)
    assert all(f"name: {name}" in text for name in names)


def test_a_dry_run_shows_the_change_and_makes_none(control_plane: ControlPlane, namespace: str, asya: Asya) -> None:
    code, out, err = ended(asya("expose", "shout", "-d", "Shouts.", "--dry-run"))
    assert (code, "+- name: shout" in out) == (0, True), err
    assert control_plane.kubectl("get", "configmap", "gateway-flows", check=False, namespace=namespace).returncode != 0


def test_what_cannot_be_served_is_refused_before_it_is_written(
    control_plane: ControlPlane, namespace: str, asya: Asya
) -> None:
    code, _, err = ended(asya("flow", "expose", "shout", "-d", "x", "--entrypoint", "Not_An_Actor"))
    assert code == 2
    assert "entrypoint: expected an actor name" in err
    code, _, err = ended(asya("flow", "expose", "shout"))
    assert (code, "--description" in err) == (2, True)
    for schema, expected in (
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "expected $schema to be"),
        ({"properties": {"a": {"type": "array", "x-mcp-header": "A"}}}, "x-mcp-header needs type"),
    ):
        text = json.dumps({"type": "object", **schema})
        code, _, err = ended(asya("flow", "expose", "shout", "-d", "x", "--input-schema", text))
        assert (code, expected in err) == (2, True), err


def test_without_an_operator_the_command_says_that_no_status_was_reported(
    control_plane: ControlPlane, namespace: str, asya: Asya
) -> None:
    code, _, err = ended(asya("flow", "expose", "shout", "-d", "x", "--wait-timeout", "0.5"))
    assert code == 1
    assert "stored, but not served" in err
    assert "no operator has reported its status" in err


def test_diff_shows_what_a_file_would_change(
    control_plane: ControlPlane, namespace: str, asya: Asya, tmp_path: Path
) -> None:
    assert ended(asya("flow", "expose", "shout", "-d", "x", "--no-wait"))[0] == 0
    file = tmp_path / "flows.yaml"
    file.write_text(flows_yaml(control_plane, namespace))
    assert ended(asya("flow", "diff", str(file)))[:2] == (0, "")
    file.write_text(file.read_text() + "- name: more\n  entrypoint: more\n")
    code, out, _ = ended(asya("flow", "diff", str(file)))
    assert (code, "+- name: more" in out) == (1, True)


def test_without_a_cluster_the_exit_code_is_3(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "asya_cli", "flow", "list"],
        env={"PATH": os.environ["PATH"], "KUBECONFIG": str(tmp_path / "none")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "error: no cluster" in done.stderr

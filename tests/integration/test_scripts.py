"""The scripts that are started by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def end_to_end(**variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "ASYA_TEST_REQUIRE_ALL")
    }
    return subprocess.run(
        [str(ROOT / "scripts" / "e2e")], env={**environment, **variables}, capture_output=True, text=True, timeout=20
    )


def test_the_end_to_end_tests_say_that_they_are_skipped_where_there_is_no_cluster() -> None:
    done = end_to_end()
    assert (done.returncode, "SKIPPED" in done.stderr) == (0, True)


def test_they_fail_where_nothing_may_be_skipped() -> None:
    assert end_to_end(ASYA_TEST_REQUIRE_ALL="1").returncode == 1


@pytest.mark.parametrize(("required", "status"), [("0", 0), ("1", 1)])
def test_without_the_programs_of_a_control_plane_no_test_of_kubernetes_fails_unless_nothing_may_be_skipped(
    required: str, status: int
) -> None:
    """One file uses kubectl alone, the other a control plane of the session and one of its own."""
    files = ["tests/kubernetes/test_pods.py", "tests/kubernetes/test_resilience.py"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *files],
        env={**environment, "ASYA_TEST_REQUIRE_ALL": required},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=50,
    )
    assert done.returncode == status, done.stdout[-2000:]
    assert "KUBEBUILDER_ASSETS is not set" in done.stdout
    assert ("failed" in done.stdout or "error" in done.stdout) == (required == "1")

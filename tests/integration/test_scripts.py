"""The scripts that are started by hand."""

import os
import subprocess
from pathlib import Path

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

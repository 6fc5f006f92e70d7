"""A program that is forked from its imports is to its tests what a process of its own is."""

import contextlib
import json
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from servers.forking import ForkedProcess, run, start

SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), os.getcwd(), sys.stdin.read()])); sys.exit(7)"
ENDLESS = ["-n", "1", "while True: pass"]


def test_it_has_the_environment_and_the_exit_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shows.py").write_text(SHOW)
    monkeypatch.chdir(tmp_path)
    done = run("shows", env={"PATH": os.environ["PATH"], "ASYA_URL": "é"}, timeout=20)
    assert done.returncode == 7, done.stderr
    environment, folder, read = json.loads(done.stdout)
    assert environment == {"PATH": os.environ["PATH"], "ASYA_URL": "é"}
    assert (folder, read) == (str(tmp_path), "")


def test_an_uncaught_error_ends_it_with_1_and_a_traceback() -> None:
    done = run("timeit", "-n", "1", "raise ValueError('no')", env=dict(os.environ), timeout=20)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: no"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_ends_it_and_is_its_exit_code(number: int) -> None:
    process = start("timeit", *ENDLESS, env=dict(os.environ))
    assert isinstance(process, ForkedProcess)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(20) == -number
    process.kill()


def test_it_is_waited_for_beside_more_open_files_than_select_takes() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as files:
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            files.enter_context(Path(os.devnull).open())
        process = start("timeit", *ENDLESS, env=dict(os.environ))
        assert process.poll() is None
        process.kill()
        assert process.wait(20) == -signal.SIGKILL


def test_what_only_a_new_interpreter_reads_gets_one() -> None:
    process = start("timeit", *ENDLESS, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert isinstance(process, subprocess.Popen)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL

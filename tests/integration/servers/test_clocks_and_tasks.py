"""What tests do to the clock of a process, and how they see its asyncio tasks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from servers import forking, observed
from servers.clocks import MovableClock
from servers.processes import ServerUnavailable, wait_until
from tests.support.missing import missing


def test_a_clock_is_moved_while_its_process_runs_and_its_monotonic_clock_is_not(tmp_path: Path) -> None:
    try:
        clock = MovableClock(tmp_path / "clock", -90)
    except ServerUnavailable as reason:
        missing(reason)
    command = [sys.executable, "-m", observed.__name__, "tests.integration.servers.telling_the_time"]
    environment = {**os.environ, **clock.environment, observed.FOLDER: str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def offsets() -> tuple[float, float]:
            """Of the process's clocks from ours."""
            process.stdin.write("?\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            wall, monotonic = map(float, process.stdout.readline().split())  # type: ignore[union-attr]
            return wall - time.time(), monotonic - time.monotonic()

        for by in (-90, 90, 1800, -300):
            clock.move(by)
            wait_until(lambda by=by: abs(offsets()[0] - by) < 5, 20, f"a clock that is wrong by {by} s")  # type: ignore[misc]
            assert abs(offsets()[1]) < 5
        process.stdin.write("\n")
        process.stdin.close()


def test_a_process_tells_which_tasks_it_has_and_ends_as_if_nobody_had_asked(tmp_path: Path) -> None:
    environment = {**os.environ, observed.FOLDER: str(tmp_path), "GO": str(tmp_path / "go")}
    process = forking.start(observed.__name__, "tests.integration.servers.sleeping", env=environment)
    try:
        wait_until(observed.ready_file(tmp_path, process.pid).exists, 60, "the process")
        file = observed.tasks_file(tmp_path, process.pid)

        def told() -> dict[str, int]:
            file.unlink(missing_ok=True)
            process.send_signal(signal.SIGUSR2)
            wait_until(file.exists, 60, "an answer")
            found: dict[str, int] = json.loads(file.read_text())
            return found

        wait_until(lambda: told() == {"main": 1, "other": 3}, 60, "the tasks")
        (tmp_path / "go").touch()
        assert process.wait(60) == 7
    finally:
        process.kill()

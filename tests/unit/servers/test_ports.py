"""Ports that servers of the tests get."""

import subprocess
import sys

from servers import ports


def test_a_port_is_never_an_ephemeral_one() -> None:
    first = int(ports._RANGE.read_text().split()[0])
    assert all(ports.LOWEST <= ports.free_port() < first for _ in range(20))


def test_two_processes_never_get_the_same_port() -> None:
    port = ports.free_port()
    program = f"from servers import ports; print(ports._reserve({port}))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"

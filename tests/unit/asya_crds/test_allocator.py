"""Memory of large bodies goes back to the system."""

import subprocess
import sys

PROGRAM = """
import ctypes, sys
from asya_crds.allocator import return_large_blocks

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "returning":
    return_large_blocks()
body, small = 8 * 1024 * 1024, []
bytes(body + body)  # glibc cuts smaller blocks from its heap from now on
before = resident()
for _ in range(3):
    bodies = []
    for _ in range(10):
        bodies.append(b"x" * body)
        small.append(b"x" * 2000)  # what lives on behind a body
    del bodies
print(resident() - before)
"""


def left_after_bodies(word: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_large_blocks_go_back_as_soon_as_they_are_freed() -> None:
    assert left_after_bodies("returning") < 4 * 1024 * 1024
    assert left_after_bodies("as it is") > 8 * 1024 * 1024, "the C library returns them by itself: drop the call"

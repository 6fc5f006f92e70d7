"""Task ids: RFC 9562, section 5.7 (UUID version 7)."""

import re
import subprocess
import sys
import time

from asya_gateway.domain.ids import new_task_id

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_an_id_has_the_version_and_the_variant_of_its_rfc() -> None:
    assert all(UUID7.fullmatch(new_task_id()) for _ in range(1000))


def test_an_id_begins_with_the_milliseconds_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = int(new_task_id().replace("-", "")[:12], 16)
    assert before <= milliseconds <= time.time_ns() // 1_000_000


def test_no_id_comes_twice() -> None:
    ids = [new_task_id() for _ in range(5000)]
    assert len({text[15:] for text in ids}) == len(ids)


def test_each_random_bit_is_sometimes_set_and_sometimes_not() -> None:
    values = [int(new_task_id().replace("-", ""), 16) for _ in range(2000)]
    random_bits = [bit for bit in range(76) if bit not in (62, 63)]
    assert all(0 < sum(value >> bit & 1 for value in values) < len(values) for bit in random_bits)


FORKING = r"""
import os
from asya_gateway.domain.ids import new_task_id

new_task_id()
child = os.fork()
# One write: with PYTHONUNBUFFERED `print` makes two, and both processes write into one pipe.
os.write(1, f"{new_task_id()}\n".encode())
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""


def test_a_forked_process_makes_other_ids_than_its_parent() -> None:
    made = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=30, check=True)
    one, other = made.stdout.split()
    assert UUID7.fullmatch(one)
    assert one[15:] != other[15:]

"""The other side of offloading.py: reads requests from stdin, answers on stdout, ends with its parent."""

import contextlib
import marshal
import os
import signal
import sys
from typing import Any, BinaryIO

from asya_crds.allocator import return_large_blocks
from asya_crds.offloading import HEAD, function_named

NICENESS = 5
"""The parent's event loop goes first when both need the same core."""


def main() -> None:
    """Serve requests until stdin ends."""
    # Ctrl-C reaches the whole group; this process ends when its parent closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _step_back()
    return_large_blocks()
    # A library's print must not corrupt the answers.
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while (request := _read(requests)) is not None:
        answer = marshal.dumps(_answer(request))
        with contextlib.suppress(BrokenPipeError):
            answers.write(len(answer).to_bytes(HEAD))
            answers.write(answer)
            answers.flush()


def _step_back() -> None:
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")


def _read(requests: BinaryIO) -> bytes | None:
    head = requests.read(HEAD)
    size = int.from_bytes(head)
    request = requests.read(size)
    return request if len(head) == HEAD and len(request) == size else None


def _answer(request: bytes) -> tuple[str, Any]:
    try:
        name, arguments = marshal.loads(request)  # noqa: S302 # nosec B302 # written by our parent
        return "returned", function_named(name)(*arguments)
    except ValueError as error:
        return "refused", str(error)
    except MemoryError:
        return "failed", "not enough memory"
    except Exception as error:  # noqa: BLE001 # the parent hears of it
        return "failed", f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()

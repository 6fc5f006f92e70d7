"""`python -m servers.observed MODULE words…`: runs a program of which tests can see which asyncio tasks it has.

After each SIGUSR2 it writes them into a file of its own in the folder OBSERVED_TASKS: JSON, how many there are of each
coroutine. The program itself knows nothing of it.
"""

import asyncio
import gc
import json
import os
import runpy
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

FOLDER = "OBSERVED_TASKS"
"""The variable with the folder."""
MOVED = "FAKETIME_TIMESTAMP_FILE"
"""It is there in a process whose clock can be moved (clocks.py)."""


def ready_file(folder: Path, pid: int) -> Path:
    """It is there as soon as the process can be asked; a signal before would end it."""
    return folder / f"{pid}.ready"


def tasks_file(folder: Path, pid: int) -> Path:
    """Where the process answers."""
    return folder / f"{pid}.tasks"


def _tell(_number: int, _frame: object) -> None:
    """In whatever thread and event loop they are."""
    tasks = [each for each in gc.get_objects() if issubclass(type(each), asyncio.Task) and not each.done()]
    file = tasks_file(Path(os.environ[FOLDER]), os.getpid())
    new = file.with_suffix(".new")
    new.write_text(json.dumps(Counter(_name(task) for task in tasks)))
    new.replace(file)


def _name(task: "asyncio.Task[object]") -> str:
    return str(getattr(task.get_coro(), "__qualname__", task.get_name()))


def _sleep(seconds: Any) -> None:
    """libfaketime 0.9.10 refuses the system call of time.sleep in a process whose monotonic clock it leaves alone."""
    threading.Event().wait(seconds)


def main() -> None:
    """Run the program."""
    if MOVED in os.environ:
        time.sleep = _sleep
    signal.signal(signal.SIGUSR2, _tell)
    ready_file(Path(os.environ[FOLDER]), os.getpid()).touch()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

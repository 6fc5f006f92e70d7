"""A handler for workers in separate processes, which records its calls in a file."""

import os
import time
from pathlib import Path
from typing import Any


def append(payload: Any) -> Any:
    """Write one line for each call; wait while a file beside it exists."""
    log = Path(os.environ["TEST_LOG"])
    with log.open("a") as file:
        file.write("call\n")
    hold = log.with_name(log.name + ".hold")
    while hold.exists():
        time.sleep(0.02)
    return payload


async def append_blocking(payload: Any) -> Any:
    """The same in the event loop, where nothing else happens meanwhile."""
    return append(payload)

"""A handler for workers in processes of their own: what it did stands in a file."""

import os
import time
from pathlib import Path
from typing import Any


def append(payload: Any) -> Any:
    """One line a call; waits while the file beside it holds it up."""
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

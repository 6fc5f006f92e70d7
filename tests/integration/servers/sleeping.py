"""A program with tasks, until the file GO is there."""

import asyncio
import os
import sys
from pathlib import Path

from tests.support.waiting import until


async def other() -> None:
    await asyncio.Event().wait()


async def main() -> None:
    tasks = [asyncio.create_task(other()) for _ in range(3)]
    await until(Path(os.environ["GO"]).exists, 60, "the end")
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(7)

"""procrastinate as its documentation shows it, with 64 tasks at a time.

`python procrastinate_app.py fill COUNT` defers so many tasks; `python procrastinate_app.py work` does them. Each writes
the time of its end to the file ENDS, as 8 bytes.
"""

import asyncio
import os
import struct
import sys
import time

import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["DATABASE"]))
ENDS = os.open(os.environ["ENDS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@app.task(name="echo")  # type: ignore[untyped-decorator] # the peers have an environment of their own
async def echo(payload: object) -> None:
    """Does nothing."""
    os.write(ENDS, struct.pack("<d", time.time()))


async def fill(count: int) -> None:
    """Defer so many tasks."""
    arguments = {"payload": {"text": "The quick brown fox jumps over the lazy dog. " * 4, "count": 7}}
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for start in range(0, count, 1_000):
            await echo.batch_defer_async(*[arguments] * min(1_000, count - start))


async def work() -> None:
    """Do them until the process ends."""
    async with app.open_async():
        await app.run_worker_async(concurrency=64)


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[2])) if sys.argv[1] == "fill" else work())

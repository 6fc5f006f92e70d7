"""One of several processes of an actor. Started as `python -m asya_cli.actor_process TOLD PARENT`: two file
descriptors.

It writes to TOLD: `r` when it consumes, then `.` every second from its event loop, so that a blocked loop is noticed.
It ends with its parent, which it notices by the end of PARENT.
"""

import asyncio
import os
import signal
import sys
import threading

READY, ALIVE = b"r", b"."
BEAT_EVERY = 1.0
_BEATING: set["asyncio.Task[None]"] = set()


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    told, parent = map(int, sys.argv[1:])
    threading.Thread(target=_end_with_parent, args=(parent,), name="parent", daemon=True).start()
    from asya_actor.app import main as run
    from asya_actor.settings import worker_settings

    def started() -> None:
        os.write(told, READY)
        _BEATING.add(asyncio.get_running_loop().create_task(_beat(told)))

    return run([worker_settings()], started=started)


async def _beat(told: int) -> None:
    while True:
        await asyncio.sleep(BEAT_EVERY)
        os.write(told, ALIVE)


def _end_with_parent(parent: int) -> None:
    while os.read(parent, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())

"""The child process of `asya dev`: the folder's handlers and the crew. Started as `python -m asya_cli.dev.child SPEC`.

SPEC is JSON {folder, actors: [{name, handler, resiliency}], crew}. It ends with its parent, whose end it sees as
the end of its standard input.
"""

import json
import os
import signal
import sys
import threading
import time

CONTROL = "\x1e"
"""Begins a line of stdout that is meant for the parent, not for the user."""
READY = "ready"
BROKEN = 78
"""Exit code (EX_CONFIG of sysexits.h) for handlers that cannot be imported: only a change helps."""
GRACE = 5.0


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    spec = json.loads(sys.argv[1])
    sys.path.insert(0, spec["folder"])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return run(spec)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def tell_parent(message: str) -> None:
    """Send a control line."""
    print(CONTROL + message, flush=True)


if __name__ == "__main__":
    sys.exit(main())

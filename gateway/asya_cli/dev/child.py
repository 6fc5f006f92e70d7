"""The child process of `asya dev`: a folder's handlers, or the crew. Started as `python -m asya_cli.dev.child SPEC`.

SPEC is JSON {folder, actors: [{name, handler, resiliency}], crew}. It ends with its parent, whose end it sees as
the end of its standard input.
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asya_actor.settings import CrewSettings, WorkerSettings

CONTROL = "\x1e"
"""Begins a line of stdout that is meant for the parent, not for the user."""
READY = "ready"
BROKEN = 78
"""Exit code (EX_CONFIG of sysexits.h) for handlers that cannot be loaded: only a change helps."""
GRACE = 5.0


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    spec = json.loads(sys.argv[1])
    sys.path.insert(0, spec["folder"])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from asya_actor.app import run_many
    from asya_actor.handlers.loading import HandlerNotFound
    from asya_actor.settings import SettingsError
    from asya_actor.telemetry.logs import log_to_stderr

    log_to_stderr("warning", "text")
    try:
        workers, crew = [_worker(actor) for actor in spec["actors"]], _crew() if spec["crew"] else None
        return asyncio.run(run_many(workers, crew, started=lambda: print(CONTROL + READY, flush=True)))
    except HandlerNotFound as error:
        names = ", ".join(actor["name"] for actor in spec["actors"] if actor["handler"] == error.handler)
        print(f"actors.yaml: actor {names}: handler is {error.handler!r}{error.complaint}", flush=True)
        return BROKEN
    except SettingsError as error:
        print(error, flush=True)
        return BROKEN
    except Exception as error:  # noqa: BLE001 # whatever the user's module raises while it is imported
        _show(error, Path(spec["folder"]))
        return BROKEN


def _worker(actor: dict[str, Any]) -> "WorkerSettings":
    """The settings of one entry of actors.yaml; `resiliency` has the words of an AsyncActor's."""
    from asya_actor.settings import SettingsError, worker_settings

    resiliency = dict(actor["resiliency"] or {})
    values = {
        "actor_name": actor["name"],
        "handler": actor["handler"],
        "metrics_port": -1,
        "actor_shutdown_timeout": GRACE - 1,
        "resiliency_policies": resiliency.pop("policies", {}),
        "resiliency_rules": resiliency.pop("rules", []),
    }
    if "actorTimeout" in resiliency:
        values["resiliency_actor_timeout"] = resiliency.pop("actorTimeout")
    if resiliency:
        raise SettingsError(f"actor {actor['name']}: resiliency: unknown words: {', '.join(resiliency)}")
    try:
        return worker_settings(values)
    except SettingsError as error:
        raise SettingsError(f"actor {actor['name']}: {error}") from None


def _crew() -> "CrewSettings":
    from asya_actor.settings import crew_settings

    return crew_settings({"metrics_port": -1, "actor_shutdown_timeout": GRACE - 1})


def _show(error: Exception, folder: Path) -> None:
    """The traceback from the user's own files on: how they came to be imported says nothing."""
    frames = error.__traceback__
    while frames is not None and not Path(frames.tb_frame.f_code.co_filename).is_relative_to(folder):
        frames = frames.tb_next
    print("".join(traceback.format_exception(type(error), error, frames)).rstrip(), flush=True)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

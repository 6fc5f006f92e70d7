"""The child process of `asya dev`: a folder's handlers, or the crew. Started as `python -m asya_cli.dev.child SPEC`.

SPEC is JSON {folder, actors: [{name, handler, resiliency?}], crew}. It ends with its parent, which it notices by the
end of its original standard input. A handler that cannot be loaded does not affect the others.
"""

import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asya_crds import jsontext

if TYPE_CHECKING:
    from asya_actor.handlers.loading import Handler
    from asya_actor.settings import CrewSettings, WorkerSettings

CONTROL = "\x1e"
"""Begins a line of stdout for the parent, not for the user: a word, and the name of an actor if it concerns one."""
READY, LOADING, LOADED, LEFT_OUT = "ready", "loading", "loaded", "left-out"
BROKEN = 78
"""Exit code (EX_CONFIG of sysexits.h) if no handler can be loaded: only a change of the files helps."""
GRACE = 5.0
CANCEL_TIMEOUT = 10.0
"""Seconds that a plain function may continue after its task was canceled. Here the process is restarted at once."""


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    spec = jsontext.loads(sys.argv[1])
    sys.path.insert(0, spec["folder"])
    threading.Thread(target=_end_with_parent, args=(_taken_from_stdin(),), daemon=True).start()
    from asya_actor.app import NothingToRun, run_many
    from asya_actor.loops import run
    from asya_actor.telemetry.logs import log_to_stderr
    from asya_crds.setting_types import SettingsError

    log_to_stderr("warning", "text")
    workers = [settings for actor in spec["actors"] if (settings := _settings_of(actor)) is not None]
    loader = _Loader(Path(spec["folder"]))
    try:
        crew = _crew() if spec["crew"] else None
        if not workers and crew is None:
            return BROKEN
        return run(run_many(workers, crew, started=lambda: _tell(READY), load=loader.load))
    except NothingToRun:
        return BROKEN  # each reason has been shown
    except SettingsError as error:
        print(error, flush=True)
        return BROKEN


def _taken_from_stdin() -> int:
    """Replaces standard input, which is the parent's pipe, by an empty one. A handler or its subprocess that reads
    standard input gets end of file instead of waiting forever."""
    parent = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return parent


def _tell(word: str, name: str = "") -> None:
    print(f"{CONTROL}{word} {name}".rstrip(), flush=True)


class _Loader:
    """Loads handlers one after the other, in the main thread like `asya actor`, and continues after one that fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shown: set[str] = set()

    def load(self, settings: "WorkerSettings") -> "Handler | None":
        """The handler, or None after its error was shown (once if several handlers share a module)."""
        from asya_actor.handlers.loading import HandlerNotFound, load_handler

        name = settings.actor_name
        _tell(LOADING, name)
        try:
            handler = load_handler(settings.handler)
        except HandlerNotFound as error:
            complaint = f"actors.yaml: actor {name}: handler is {error.handler!r}{error.complaint}"
        except (Exception, SystemExit) as error:  # noqa: BLE001 # whatever the user's module raises when it is imported
            complaint = _traceback_of(error, self._folder)
        else:
            _tell(LOADED, name)
            return handler
        if complaint not in self._shown:
            print(complaint, flush=True)
        self._shown.add(complaint)
        _tell(LEFT_OUT, name)
        return None


def _settings_of(actor: dict[str, Any]) -> "WorkerSettings | None":
    from asya_crds.setting_types import SettingsError

    try:
        settings = worker_of(actor)
    except SettingsError as error:
        print(error, flush=True)
        _tell(LEFT_OUT, actor["name"])
        return None
    if settings.actor_processes > 1:
        print(f"actor {actor['name']}: ASYA_ACTOR_PROCESSES has no effect here: it runs in one process", flush=True)
    return settings


def worker_of(actor: dict[str, Any]) -> "WorkerSettings":
    """The settings of one entry of actors.yaml; `resiliency` has the fields of an AsyncActor's."""
    from asya_actor.settings import worker_settings
    from asya_crds.setting_types import SettingsError

    resiliency = actor.get("resiliency") or {}
    values = {
        "actor_name": actor["name"],
        "handler": actor["handler"],
        "metrics_port": -1,
        "actor_shutdown_timeout": GRACE - 1,
        "actor_cancel_timeout": os.environ.get("ASYA_ACTOR_CANCEL_TIMEOUT") or CANCEL_TIMEOUT,
    }
    # What the file does not say is read from the environment, as `asya actor` does. Rules name policies, so both come
    # from one place.
    if resiliency.get("policies") or resiliency.get("rules"):
        values["resiliency_policies"] = resiliency.get("policies", {})
        values["resiliency_rules"] = resiliency.get("rules", [])
    if resiliency.get("actorTimeout") is not None:
        values["resiliency_actor_timeout"] = resiliency["actorTimeout"]
    try:
        return worker_settings(values)
    except SettingsError as error:
        raise SettingsError(f"actor {actor['name']}: {error}") from None


def _crew() -> "CrewSettings":
    from asya_actor.settings import crew_settings

    return crew_settings({"metrics_port": -1, "actor_shutdown_timeout": GRACE - 1})


def _traceback_of(error: BaseException, folder: Path) -> str:
    """The traceback from the user's own files on, without the import machinery above them."""
    frames = error.__traceback__
    while frames is not None and not Path(frames.tb_frame.f_code.co_filename).is_relative_to(folder):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _end_with_parent(parent: int) -> None:
    while os.read(parent, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

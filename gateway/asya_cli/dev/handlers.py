"""Starts, watches, restarts and stops the processes that run a folder's handlers."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from asya_cli.dev import child
from asya_cli.dev.actors_file import ActorEntry
from asya_crds import jsontext

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds before a crashed process is restarted, doubled with each further crash that follows soon."""
SETTLED = 10.0
"""Seconds after which a running process resets the pause."""
GRACE = 5.0
"""Seconds that handlers have to finish before their process is killed."""
LONGEST_LINE = 64 * 1024
SLOW = 5.0
"""Seconds after which other handlers no longer wait for one that is still loading."""


class ProcessState(StrEnum):
    """The state of a process with handlers."""

    STARTING = "starting"
    RUNNING = "running"
    BROKEN = "broken"
    """No handler can be loaded; it waits for a change."""
    CRASHED = "crashed"
    STOPPED = "stopped"


class HandlerProcess:
    """One child process with some actors, or with the crew."""

    def __init__(
        self,
        folder: Path,
        actors: Sequence[ActorEntry],
        environment: Mapping[str, str],
        say: Callable[[str, str], None],
        *,
        crew: bool,
    ) -> None:
        """`say(kind, line)` is called with messages; the kind is `output` for lines of the handlers, `crew` for those
        of the crew, `error` or `info`."""
        self.actors = tuple(actors)
        self.crew = crew
        self.state = ProcessState.STARTING
        self.left_out: set[str] = set()
        """Actors whose handler cannot be loaded; the others run."""
        self._loading: tuple[str, float] | None = None
        self._fatal: str | None = None
        self._told_slow = False
        self._who = "crew" if crew else "handlers"
        self._output = "crew" if crew else "output"
        # A folder may have several processes, so a message about one names its actors.
        self._of = "" if crew else f"{', '.join(actor.name for actor in self.actors)}: "
        self._folder = folder
        self._environment = dict(environment)
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def settled(self) -> bool:
        """Whether the child runs its handlers, or has failed to load them."""
        return self._settled.is_set()

    @property
    def told_slow(self) -> bool:
        """Whether the user was told that this process loads slowly, so that nothing waits for it."""
        return self._told_slow

    @property
    def slow(self) -> str | None:
        """The actor whose handler has been loading for a long time, or that ended the process during loading."""
        if self._loading is None or time.monotonic() - self._loading[1] < SLOW:
            return self._fatal
        return self._loading[0]

    def tell_slow(self) -> None:
        """Report once that calls of the slow actor wait. The end of loading is also reported."""
        if self._loading is not None and not self._told_slow:
            self._told_slow = True
            self._say("info", f"the handler of {self.slow} is still loading; its calls wait")

    def start(self) -> None:
        """Start the child and keep it running until `stop`."""
        self._task = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """End the child: SIGTERM, then SIGKILL after the grace."""
        self._stop.set()
        await self._end_child()
        if self._task is not None:
            await self._task
        self.state = ProcessState.STOPPED

    async def _keep_running(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            began = time.monotonic()
            code = await self._run_once()
            if self._stop.is_set():
                return
            if time.monotonic() - began > SETTLED:
                pause = FIRST_PAUSE
            if code == child.BROKEN:
                self.state = ProcessState.BROKEN
                self._say("error", f"{self._of}the {self._who} cannot be loaded; waiting for a change")
                await self._stop.wait()
                return
            self.state = ProcessState.CRASHED
            self._say(
                "error", f"{self._of}the process of the {self._who} {_ended(code)}; starting it again in {pause:g} s"
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _run_once(self) -> int:
        self.state = ProcessState.STARTING
        self.left_out.clear()
        self._loading, self._told_slow = None, False
        spec = {
            "folder": str(self._folder),
            "actors": [spec_of(actor) for actor in self.actors],
            "crew": self.crew,
        }
        # In a separate session, so that Ctrl-C reaches only us and the child is ended in order. Its stdin is a pipe
        # that closes when we end, in whatever way.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "asya_cli.dev.child",
            jsontext.spaced(spec, ascii_only=True),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._folder,
            env=self._environment | (self.actors[0].env if self.actors else {}),
            start_new_session=True,
            limit=LONGEST_LINE,
        )
        self._process = process
        try:
            if self._stop.is_set():
                process.terminate()
            reading = asyncio.create_task(self._read_output(process))
            code = await process.wait()
            self._fatal = self._loading[0] if self._loading else None
            with contextlib.suppress(ProcessLookupError):
                # Kill what a handler has started, because it would keep the output open.
                os.killpg(process.pid, signal.SIGKILL)
            await reading
            return code
        finally:
            self._process = self._loading = None
            self._settled.set()

    async def _read_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                # A line beyond the limit was dropped; reading continues after it.
                self._say(self._output, "(a line that was too long to show)")
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip("\n")
            if text.startswith(child.CONTROL):
                self._control(*text.removeprefix(child.CONTROL).partition(" ")[::2])
            else:
                self._say(self._output, text)

    def _control(self, word: str, name: str) -> None:
        """Process a control line of the child."""
        match word:
            case child.LOADING:
                self._loading = name, time.monotonic()
            case child.LOADED:
                self._loading = None
                if self._told_slow:
                    self._say("info", f"the handler of {name} is loaded")
            case child.LEFT_OUT:
                self._loading = None
                self.left_out.add(name)
            case child.READY:
                self.state = ProcessState.RUNNING
                self._settled.set()
                if self.left_out:
                    self._say("error", f"{', '.join(sorted(self.left_out))} cannot be loaded; waiting for a change")
            case _:
                pass

    async def _end_child(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # A process that is still loading has nothing to finish, and might not react to SIGTERM.
            process.terminate() if self._loading is None else process.kill()
        try:
            await asyncio.wait_for(process.wait(), GRACE)
        except TimeoutError:
            self._say("error", f"{self._of}the {self._who} did not end within {GRACE:g} s and were killed")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def spec_of(actor: ActorEntry) -> dict[str, Any]:
    """What the child gets of an actor: {name, handler, resiliency?}, the last as in an AsyncActor."""
    wanted = {"name", "handler", "resiliency"}
    return actor.model_dump(mode="json", include=wanted, by_alias=True, exclude_unset=True)


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"

"""Several processes of one actor, for handlers that compute: a process uses one core."""

import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from asya_actor.settings import WorkerSettings
from asya_actor.telemetry.logs import log_to_stderr
from asya_actor.telemetry.probes import TURN_WITHIN, probes
from asya_cli.actor_process import BEAT_EVERY, READY

log = logging.getLogger(__name__)

EXIT_FAILED = 1


@dataclass
class _Child:
    """A running process, and what it told last."""

    process: asyncio.subprocess.Process
    told: int
    parent: int
    """Its end of this pipe ends when the parent does."""
    ready: bool = False
    heard: float = field(default_factory=time.monotonic)

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> "_Child":
        told, telling = os.pipe()
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "asya_cli.actor_process", str(telling), str(theirs)),
                pass_fds=(telling, theirs),
                env=environment,
            )
        finally:
            os.close(telling)
            os.close(theirs)
        os.set_blocking(told, False)
        child = cls(process, told, ours)
        asyncio.get_running_loop().add_reader(told, child._hear)
        return child

    @property
    def alive(self) -> bool:
        """Whether its event loop runs; a process that still loads its handler has none."""
        return not self.ready or time.monotonic() - self.heard < BEAT_EVERY + TURN_WITHIN

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            words = os.read(self.told, 4096)
            if not words:
                asyncio.get_running_loop().remove_reader(self.told)
                return
            self.heard = time.monotonic()
            self.ready = self.ready or READY in words

    def end(self) -> None:
        """Ask it to end."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Close the pipes."""
        asyncio.get_running_loop().remove_reader(self.told)
        os.close(self.told)
        os.close(self.parent)


def run_processes(settings: WorkerSettings, given: Mapping[str, str]) -> int:
    """Run the actor in `settings.actor_processes` processes until SIGTERM; returns the exit code. `given` are variables
    that override the environment. If one process ends by itself, the others end too, and its code is returned, so that
    a supervisor restarts them together. Raises CannotListen."""
    log_to_stderr(settings.log_level, settings.log_format)
    return asyncio.run(_run(settings, given))


async def _run(settings: WorkerSettings, given: Mapping[str, str]) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    children: list[_Child] = []
    with tempfile.TemporaryDirectory(prefix="asya-metrics-") as folder:
        environment = {
            **os.environ,
            **given,
            "ASYA_ACTOR_PROCESSES": "1",
            "ASYA_METRICS_PORT": "-1",
            "PROMETHEUS_MULTIPROC_DIR": folder,
        }

        def every() -> CollectorRegistry:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
            return registry

        def all_ready() -> bool:
            return len(children) == settings.actor_processes and all(child.ready for child in children)

        async with probes(
            settings.metrics_host,
            settings.metrics_port,
            ready=all_ready,
            loading=lambda: not all_ready(),
            alive=lambda: all(child.alive for child in children),
            registry=every,
        ):
            try:
                children += [await _Child.start(environment) for _ in range(settings.actor_processes)]
                return await _until_one_ends(children, stop)
            finally:
                for child in children:
                    child.close()


async def _until_one_ends(children: Sequence[_Child], stop: asyncio.Event) -> int:
    ends = [asyncio.create_task(child.process.wait()) for child in children]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([*ends, stopping], return_when=asyncio.FIRST_COMPLETED)
    first = next((end.result() for end in ends if end.done()), None)
    if not stopping.done():
        log.error("a process of the actor has ended with code %s; the others end, too", first)
    stopping.cancel()
    for child in children:
        child.end()
    codes = await asyncio.gather(*ends)
    code = first if first is not None else next((each for each in codes if each), 0)
    return EXIT_FAILED if code < 0 else code

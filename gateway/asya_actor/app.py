"""Connects and runs all parts of worker and crew."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from asya_actor import loops
from asya_actor.assembly import DEAD_LETTERS, Assembly
from asya_actor.consuming import Consumer, declare
from asya_actor.crew.announcing import Announcement
from asya_actor.handlers.ending import ended_by_signals
from asya_actor.handlers.loading import Handler, HandlerNotFound, load_handler
from asya_actor.mesh.client import MeshClient
from asya_actor.runtime import ActorRuntime
from asya_actor.settings import CrewSettings, WorkerSettings
from asya_actor.state.connector import Connectors
from asya_actor.state.mounts import parse_mounts
from asya_actor.state.patching import Undo, install
from asya_actor.telemetry.logs import log_to_stderr
from asya_actor.telemetry.probes import probes
from asya_actor.telemetry.tracing import TracingUnavailable, export_spans
from asya_crds.listening import CannotListen
from asya_crds.setting_types import SettingsError
from asya_transports.bounded import stopped
from asya_transports.description import TransportSettingsError
from asya_transports.known import transport_settings
from asya_transports.opening import open_transport
from asya_transports.port import Transport

log = logging.getLogger(__name__)

AFTER_GRACE = 14.0
"""Seconds after the handlers' time in which a consumer returns its messages and leaves its queue. It is less than what
a pod has between the end of the handlers' time and its own (asya_operator, SHUTDOWN_MARGIN). A transport may need
longer from the signal on, where a request that has begun must not be cut off (Transport.leaves_within)."""
STOP_WITHIN = 10.0
"""The same for consumers that are cancelled. What goes on even then can be ended only with the process."""

EXIT_OK, EXIT_STUCK, EXIT_FAILED, EXIT_SETTINGS = 0, 1, 1, 2


class NothingToRun(SettingsError):
    """No actor has a handler that could be loaded."""


async def run_many(
    workers: Sequence[WorkerSettings],
    crew: CrewSettings | None = None,
    *,
    stop: asyncio.Event | None = None,
    transport: Transport | None = None,
    place: str = "",
    client: MeshClient | None = None,
    started: Callable[[], None] | None = None,
    load: Callable[[WorkerSettings], Handler | None] | None = None,
) -> int:
    """Run any number of actors, and optionally the crew, in this process; returns the program's exit code.

    0 after `stop`; 1 if a handler or a consumer continues after its time and only the end of the process can stop it,
    so that a supervisor restarts the process. A given transport, whose queues are at `place`, is not closed. `client`
    sends the requests to mesh. `started` is called when every queue is consumed. `load` finds each actor's handler; an
    actor for which it returns None is left out. Raises HandlerNotFound, SettingsError, CannotListen,
    TracingUnavailable, and whatever the user's module raises.
    """
    every: list[WorkerSettings | CrewSettings] = [*workers, *([] if crew is None else [crew])]
    if not every:
        raise SettingsError("no actor to run")
    first = every[0]
    loading = contextlib.nullcontext() if stop is not None else ended_by_signals()
    stop = stop or _stop_on_signals()
    async with AsyncExitStack() as stack:
        if first.otel_enabled:
            stack.callback(export_spans())
        if transport is None:
            found = transport_settings()
            transport, place = open_transport(found, first.namespace), found.place
            stack.push_async_callback(transport.close)
        consumers: list[Consumer] = []
        await stack.enter_async_context(_probes(first, consumers))
        for settings in workers[:1]:  # all share the process's environment and its `open`
            stack.callback(keep_state(settings))
        assembly = Assembly(transport, place, client or MeshClient())
        stack.push_async_callback(assembly.close)
        with loading:
            pairs = _actors(assembly, workers, load)
        if not pairs and crew is None:
            raise NothingToRun("no handler could be loaded")
        consumers += [consumer for consumer, _ in pairs] + ([] if crew is None else assembly.crew(crew))
        announcement = None if crew is None else assembly.announcement(crew)
        if announcement is not None:
            stack.push_async_callback(announcement.leave)
            await announcement.begin()
        return await _consume(transport, consumers, [actor for _, actor in pairs], stop, started, announcement)


def _probes(
    settings: WorkerSettings | CrewSettings, consumers: Sequence[Consumer]
) -> AbstractAsyncContextManager[object]:
    """The process is loading until `consumers` is filled, and ready while all of them consume."""
    return probes(
        settings.metrics_host,
        settings.metrics_port,
        ready=lambda: all(one.consuming.is_set() for one in consumers),
        loading=lambda: not consumers,
    )


def _actors(
    assembly: Assembly,
    workers: Sequence[WorkerSettings],
    load: Callable[[WorkerSettings], Handler | None] | None,
) -> list[tuple[Consumer, ActorRuntime]]:
    load = load or (lambda settings: load_handler(settings.handler))
    loaded = [(settings, handler) for settings in workers if (handler := load(settings)) is not None]
    return [assembly.actor(settings, handler) for settings, handler in loaded]


def keep_state(settings: WorkerSettings) -> Undo:
    """Make the mounts of the settings available to handlers that are imported from now on. Returns a function that
    undoes it."""
    mounts = parse_mounts(settings.state_proxy_mounts)
    if not mounts:
        return lambda: None
    connectors = Connectors(
        settings.state_proxy_folder, timeout=settings.state_proxy_timeout, largest=settings.state_proxy_max_bytes
    )
    return install(mounts, connectors)


async def _consume(
    transport: Transport,
    consumers: Sequence[Consumer],
    actors: Sequence[ActorRuntime],
    stop: asyncio.Event,
    started: Callable[[], None] | None,
    announcement: Announcement | None,
) -> int:
    ending = asyncio.Event()
    running = [asyncio.create_task(_one(transport, consumer, ending), name=consumer.name) for consumer in consumers]
    reasons = [asyncio.create_task(stop.wait()), *(asyncio.create_task(actor.stuck.wait()) for actor in actors)]
    telling = asyncio.create_task(_tell(consumers, started))
    try:
        await asyncio.wait([*running, *reasons], return_when=asyncio.FIRST_COMPLETED)
        if announcement is not None:
            await announcement.leave()  # before the crew stops consuming
        ending.set()
        longest = max(max(consumer.grace for consumer in consumers) + AFTER_GRACE, transport.leaves_within)
        done, _ = await asyncio.wait(running, timeout=longest, return_when=asyncio.FIRST_EXCEPTION)
        for ended in done:
            ended.result()
    finally:
        ending.set()
        late = await stopped([*reasons, telling, *running], STOP_WITHIN)
    for task in late:
        log.error("%s does not end", task.get_name())
    stuck = late or any(consumer.stuck for consumer in consumers) or any(actor.stuck.is_set() for actor in actors)
    return EXIT_STUCK if stuck else EXIT_OK


async def _one(transport: Transport, consumer: Consumer, ending: asyncio.Event) -> None:
    declaring = asyncio.create_task(_declared(transport, consumer))
    waiting = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait([declaring, waiting], return_when=asyncio.FIRST_COMPLETED)
        if declaring.done():
            declaring.result()
            await consumer.run(ending)
    finally:
        declaring.cancel()
        waiting.cancel()
        await asyncio.gather(declaring, waiting, return_exceptions=True)


async def _declared(transport: Transport, consumer: Consumer) -> None:
    if consumer.name != DEAD_LETTERS:
        await declare(transport, consumer.name)


async def _tell(consumers: Sequence[Consumer], started: Callable[[], None] | None) -> None:
    for consumer in consumers:
        await consumer.consuming.wait()
    log.info("consuming: %s", ", ".join(consumer.name for consumer in consumers))
    if started is not None:
        started()


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def main(
    workers: Sequence[WorkerSettings] = (),
    crew: CrewSettings | None = None,
    *,
    started: Callable[[], None] | None = None,
) -> int:
    """The program behind `asya actor`, in its own process; returns its exit code (0; 1 if stuck or a port is in use; 2
    for invalid settings).

    ASYA_HANDLER may name modules of the current folder. A handler or a consumer that cannot be stopped would keep the
    interpreter from exiting, so `os._exit` is used then.
    """
    every: list[WorkerSettings | CrewSettings] = [*workers, *([] if crew is None else [crew])]
    if every:
        log_to_stderr(every[0].log_level, every[0].log_format)
    folder = os.getcwd()  # noqa: PTH109 # sys.path holds text
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return loops.run(_run(workers, crew, started))
    except (SettingsError, TransportSettingsError, HandlerNotFound, TracingUnavailable) as error:
        log.error("%s", error)
        return EXIT_SETTINGS
    except CannotListen as error:
        log.error("%s", error)
        return EXIT_SETTINGS if error.wrong_value else EXIT_FAILED


async def _run(workers: Sequence[WorkerSettings], crew: CrewSettings | None, started: Callable[[], None] | None) -> int:
    code = await run_many(workers, crew, started=started)
    if code == EXIT_STUCK:
        # From here, because the end of the event loop waits for its tasks, and that of the interpreter for its threads.
        logging.shutdown()
        os._exit(code)
    return code

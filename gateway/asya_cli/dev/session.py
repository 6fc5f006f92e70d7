"""One run of `asya dev`: starts all parts in order, keeps them running, and ends them in reverse order."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.logging import RichHandler
from typing_extensions import override

from asya_cli.bearers import given
from asya_cli.client import GatewayClient, connect
from asya_cli.dev import queues
from asya_cli.dev.access import issuing, own_key
from asya_cli.dev.actors_file import ActorEntry, grouped_by_environment, load_actors
from asya_cli.dev.folders import DataFolder, hold_folder, state_folder
from asya_cli.dev.handlers import HandlerProcess
from asya_cli.dev.introducing import closed_lines, connection_lines
from asya_cli.dev.ports import Port, take_port
from asya_cli.dev.postgres import EmbeddedPostgres
from asya_cli.dev.sources import changed, fingerprint
from asya_cli.dev.view import Picture, View
from asya_cli.environment import read_settings
from asya_cli.errors import CliError, UsageProblem
from asya_cli.migrate import apply_and_hand_over
from asya_cli.rendering import problem_text
from asya_cli.terminal import ReadableConsole
from asya_crds.naming import CREW

if TYPE_CHECKING:
    from asya_crds.flows_json import FlowsJson, ServedFlowJson
    from asya_gateway.settings import Settings

READY_WITHIN = 60.0
LOOK_EVERY = 0.5
DATABASE_TRIES = 10
"""Most failed restarts of PostgreSQL in a row. Processes of a killed server may hold its memory for a moment."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    folder: Path
    port: int
    ephemeral: bool = False
    reset: bool = False
    debug: bool = False
    auth: bool = False


class DevSession:
    """The parts of one run."""

    def __init__(self, options: Options, port: Port, console: Console) -> None:
        self.options = options
        self.console = console
        self.port = port.number
        self.url = f"http://127.0.0.1:{self.port}"
        self.view = View(Picture(f"asya dev {options.folder}", self.url), console)
        self.stop = asyncio.Event()
        self._processes = self.view.picture.processes
        self._actors: frozenset[str] = frozenset()
        self._environment: dict[str, str] = {}
        self._access: dict[str, Any] = {}
        """Settings that say who may call."""
        self._shown: dict[str, str] = {}
        """Whose tasks are shown, as GET /tasks takes it."""
        self._apart: set[str] = set()
        """Actors whose handlers load slowly: each has its own process."""
        self._changing = asyncio.Lock()

    def end(self) -> None:
        """End in order. A second call ends at once: PostgreSQL and the children notice that this process is gone."""
        if self.stop.is_set():
            self.view.stop()
            os._exit(130)
        self.stop.set()

    async def run(self, data: DataFolder, actors: list[ActorEntry]) -> None:
        """Run until Ctrl-C or SIGTERM. Raises CliError if a part cannot start."""
        from asya_gateway.storage.registry.store import forget_file

        database = EmbeddedPostgres(data.path, ephemeral=data.ephemeral, shared=state_folder())
        try:
            # In this thread, because the server is ended when the thread that started it ends.
            database.start()
            # The database belongs to this folder, so it takes the namespace of this run.
            self._access = issuing(self.url, data.path) if self.options.auth else {}
            settings = self._settings(database.url)
            if where := await queues.told(settings.queues, settings.namespace):
                self.view.say("info", where)
            await apply_and_hand_over(database.url, settings.namespace, then=forget_file)
            key = await self._key(settings)
            async with self._gateway(database.url), connect(self.url, given(key)) as client:
                await self._start_handlers(actors, database.url)
                try:
                    await self._work(client, database)
                finally:
                    self.view.stop()
                    self.view.say("info", "ending")
                    await self._stop_handlers(crew=True)
        finally:
            database.stop()

    async def _key(self, settings: "Settings") -> str:
        """This run's own key, if the gateway asks for one: the variables of the shell may close it as well."""
        if not settings.closed:
            return ""
        self._shown = {"owner": "*"}
        return await own_key(settings.database_url)

    # The gateway

    @contextlib.asynccontextmanager
    async def _gateway(self, database_url: str) -> AsyncGenerator[None]:
        """Runs the gateway in this process. If it ends by itself, so does the run."""
        from asya_gateway.composition.issuers import InvalidConfiguration
        from asya_gateway.composition.program import run

        stop, listening = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(run(self._settings(database_url), stop=stop, listening=lambda _: listening.set()))
        task.add_done_callback(lambda _: listening.set())
        task.add_done_callback(lambda _: self.stop.set())
        await listening.wait()
        try:
            if not task.done():
                yield
        finally:
            stop.set()
            try:
                await task
            except OSError as error:
                raise CliError(f"the gateway cannot listen on port {self.port}: {error.strerror}") from error
            except InvalidConfiguration as error:
                raise UsageProblem(str(error)) from error

    def _settings(self, database_url: str) -> "Settings":
        return read_settings(
            gateway_mode="testing",
            gateway_host="127.0.0.1",
            gateway_port=self.port,
            # Its address is gateway_host; the port is any free one, because several runs may exist at once.
            metrics_port=0,
            log_level="debug" if self.options.debug else "warning",
            log_format="text",
            database_url=database_url,
            config_path=str(self.options.folder / "flows.yaml"),
            config_poll_interval=0.5,
            transport=queues.chosen(),
            mesh_url=self.url,
            public_url=self.url,
            drain_timeout=2.0,
            **self._access,
        )

    # The handlers

    async def _start_handlers(self, actors: list[ActorEntry], database_url: str) -> None:
        self._environment = os.environ | {
            **queues.variables(),
            "ASYA_DATABASE_URL": database_url,
            "ASYA_GATEWAY_URL": self.url,
            "ASYA_NAMESPACE": self._settings(database_url).namespace,
            "PYTHONUNBUFFERED": "1",
            # Their output is read as UTF-8, and a `print` of a payload must not fail for a character.
            "PYTHONIOENCODING": "utf-8:backslashreplace",
        }
        self._actors = frozenset(actor.name for actor in actors)
        # The crew has its own process, so that a crashing handler does not affect the end of other tasks. No file of
        # the folder changes it: it continues when the handlers are restarted.
        if not any(process.crew for process in self._processes):
            self._start((), crew=True)
        for group in grouped_by_environment(actors):
            self._start([actor for actor in group if actor.name not in self._apart])
            for actor in group:
                if actor.name in self._apart:
                    self._start([actor])

    def _start(self, actors: Sequence[ActorEntry], *, crew: bool = False) -> None:
        if actors or crew:
            folder = self.options.folder.resolve()
            process = HandlerProcess(folder, actors, self._environment, self.view.say, crew=crew)
            self._processes.append(process)
            process.start()

    async def _watch_loading(self) -> None:
        """Move a handler that loads slowly, or that ends its process during loading, to its own process, so that the
        others need not wait for it."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for process in [each for each in self._processes if each.slow]:
                if len(process.actors) == 1:
                    process.tell_slow()
                    continue
                async with self._changing:
                    if process in self._processes and (name := process.slow):
                        await self._set_apart(process, name)

    async def _set_apart(self, process: HandlerProcess, name: str) -> None:
        self.view.say("info", f"the handler of {name} is loaded in a separate process; the others continue")
        self._apart.add(name)
        others = [actor for actor in process.actors if actor.name != name]
        alone = [actor for actor in process.actors if actor.name == name]
        # Start the new ones first: if nothing were starting, the run would be reported as ready.
        self._start(others)
        self._start(alone)
        self._processes.remove(process)
        await process.stop()

    async def _stop_handlers(self, *, crew: bool) -> None:
        ending = [process for process in self._processes if crew or not process.crew]
        await asyncio.gather(*(process.stop() for process in ending))
        self._processes[:] = [process for process in self._processes if process not in ending]

    async def _reload(self, database_url: str, why: str) -> None:
        """Apply the changed files. While actors.yaml has a mistake, the running handlers continue."""
        try:
            actors = load_actors(self.options.folder / "actors.yaml")
        except UsageProblem as problem:
            self.view.say("error", f"{problem.message}; the running handlers continue")
            return
        self.view.say("info", f"{why}: restarting the handlers")
        async with self._changing:
            await self._stop_handlers(crew=False)
            await self._start_handlers(actors, database_url)
        self._tell_missing_actors(self.view.picture.flows)

    # The work

    async def _work(self, client: GatewayClient, database: EmbeddedPostgres) -> None:
        """Show how to call the flows, then show what happens, until the run ends."""
        workers = [
            asyncio.create_task(self._watch_sources(database.url)),
            asyncio.create_task(self._watch_database(database)),
            asyncio.create_task(self._watch_loading()),
            asyncio.create_task(self._introduce_and_watch(client, database)),
        ]
        stopping = asyncio.create_task(self.stop.wait())
        try:
            done, _ = await asyncio.wait([*workers, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                await task
        finally:
            for task in (*workers, stopping):
                task.cancel()
            await asyncio.gather(*workers, stopping, return_exceptions=True)

    async def _watch_sources(self, database_url: str) -> None:
        known = fingerprint(self.options.folder)
        while True:
            known, files = await changed(self.options.folder, known)
            names = ", ".join(str(path.relative_to(self.options.folder)) for path in files[:3])
            await self._reload(database_url, f"{names}{' …' if len(files) > 3 else ''} changed")

    async def _watch_database(self, database: EmbeddedPostgres) -> None:
        """Restart a database that died (a full disk, a stray kill). The gateway reconnects by itself."""
        failures = 0
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if database.alive:
                failures = 0
                continue
            self.view.say("error", "PostgreSQL ended; starting it again")
            try:
                database.start()
            except CliError:
                failures += 1
                if failures == DATABASE_TRIES:
                    raise

    async def _introduce_and_watch(self, client: GatewayClient, database: EmbeddedPostgres) -> None:
        await self._until_ready(client)
        known = await client.flows()
        self.view.picture.flows, self.view.picture.problems = known["flows"], known["problems"]
        for line in self._introduction(await client.tools(), database.url):
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._tell_flows(None, known)
        self.view.knows((await client.tasks(limit=50, **self._shown))["tasks"])
        self.view.say("info", f"ready at {self.url}")
        self.view.start()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with contextlib.suppress(CliError):
                for failed in self.view.show_tasks((await client.tasks(limit=50, **self._shown))["tasks"]):
                    self.view.show_failure(await client.task(failed), self.options.folder.resolve())
                found = await client.flows()
                self._tell_flows(known, found)
                known = found
                self.view.picture.flows, self.view.picture.problems = found["flows"], found["problems"]

    def _introduction(self, tools: list[dict[str, Any]], database_url: str) -> list[str]:
        skills = any(flow["a2a"] for flow in self.view.picture.flows)
        if not self._settings(database_url).closed:
            return connection_lines(self.url, tools, skills=skills)
        return closed_lines(self.url, tools, database_url, skills=skills, logins=self.options.auth)

    def _tell_flows(self, before: "FlowsJson | None", now: "FlowsJson") -> None:
        if before == now:
            return
        for problem in now["problems"]:
            if before is None or problem not in before["problems"]:
                named = f"{problem['name']}: " if problem.get("name") else ""
                self.view.say("error", f"flows.yaml: {named}{problem_text(problem)}")
        names = ", ".join(str(flow["name"]) for flow in now["flows"])
        self.view.say("info", f"flows: {names or 'none'}")
        self._tell_missing_actors(now["flows"])

    def _tell_missing_actors(self, flows: "Sequence[ServedFlowJson]") -> None:
        """Report routes to missing actors. In a cluster these are not mistakes; here they probably are."""
        known = self._actors
        # Both files may have changed at once, and handlers take seconds to restart, so the file is checked, not the
        # running actors.
        with contextlib.suppress(UsageProblem):
            known = frozenset(actor.name for actor in load_actors(self.options.folder / "actors.yaml"))
        for flow in flows:
            for actor in dict.fromkeys(flow.get("actors") or []):
                if actor not in known and actor not in CREW:
                    reason = f"no actor {actor!r} in actors.yaml; its calls will wait"
                    self.view.say("error", f"flows.yaml: {flow['name']}: {reason}")

    async def _until_ready(self, client: GatewayClient) -> None:
        """Wait until the gateway answers, its flows are read, and every process with handlers runs, except slow
        ones."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not await client.ready():  # noqa: ASYNC110 # the answer is in HTTP, not in an event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise CliError(f"not ready after {READY_WITHIN:g} s; `asya --debug dev` shows more") from None
        # A broken process waits for a change, and calls wait for a slow one; the others can be called.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN):
                while not all(each.settled or each.told_slow for each in self._processes):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


def run_session(options: Options) -> None:
    """Run `asya dev` to its end. Raises CliError."""
    console = ReadableConsole()
    folder = options.folder
    if not (folder / "flows.yaml").is_file():
        raise UsageProblem(f"{folder / 'flows.yaml'}: no such file; it lists the flows (see docs/examples)")
    actors = load_actors(folder / "actors.yaml")
    _log_to(console, options.debug)
    port = take_port(options.port, state_folder() / "ports")
    data, own = hold_folder(folder, ephemeral=options.ephemeral)
    try:
        if not own:
            told = f"another `asya dev` runs {folder}; the tasks of this run are deleted when it ends"
            console.print(told, style="yellow", soft_wrap=True)
        if options.reset:
            shutil.rmtree(data.path / "data", ignore_errors=True)
        asyncio.run(_main(DevSession(options, port, console), data, actors))
    finally:
        data.release()
        port.release()


async def _main(session: DevSession, data: DataFolder, actors: list[ActorEntry]) -> None:
    if session.port != session.options.port and session.options.port:
        session.view.say("info", f"port {session.options.port} is taken; using {session.port}")
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(each, session.end)
    await session.run(data, actors)


def _handler(console: Console) -> tuple[logging.Handler, str]:
    """Where log records go, and their form. RichHandler lays records out as a table, which fills lines with spaces
    where the output has no width."""
    if console.is_terminal:
        return RichHandler(console=console, show_path=False, omit_repeated_times=False), "%(message)s"
    return _Lines(console), "%(levelname)-8s %(message)s"


class _Lines(logging.Handler):
    """Records as lines of a file or a pipe."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), soft_wrap=True)


def _log_to(console: Console, debug: bool) -> None:
    """Show the gateway's warnings among the other lines."""
    handler, form = _handler(console)
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler], format=form, force=True)
    # The session itself reports mistakes in flows.yaml.
    logging.getLogger("asya_gateway.registry.watch").setLevel(logging.DEBUG if debug else logging.ERROR)
    # The database is the developer's own, so that it does not matter where the key is that seals.
    logging.getLogger("asya_gateway.composition.pushing").setLevel(logging.DEBUG if debug else logging.ERROR)

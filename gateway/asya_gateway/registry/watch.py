"""Keeps a process up to date with the registry row: heartbeats, notifications, the mounted file, swaps of the table."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from asya_crds.flow_problem import FlowProblem
from asya_crds.flows_json import FlowsJson, UnroutableJson
from asya_crds.offloading import Offload
from asya_gateway.domain.backlog import Backlog
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.flows import FlowRegistry, ServedFlow
from asya_gateway.domain.identity.access import problems_shown, sees
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.registry import BEAT, RegistryNotification, RegistryStore
from asya_gateway.registry.file_watch import FileWatch
from asya_gateway.registry.row_documents import documents_of
from asya_gateway.registry.tables import TableBuilder

log = logging.getLogger(__name__)

_FAREWELL = 3.0
"""Most seconds that a process spends on deleting its row when it ends."""
_TOLD = 50
"""Most problems of a generation that are logged. Thousands of lines at once would block the event loop."""


class RegistryWatch:
    """Runs in every pod from start to stop. A mesh pod has no file and only reports what is served.

    While the database is away the last generation stays served, and the log says so once.
    """

    def __init__(
        self,
        store: RegistryStore,
        flows: FlowRegistry,
        offload: Offload,
        *,
        pod: str,
        mode: str,
        is_open: bool = True,
        config_path: str = "",
        poll_interval: float = 10.0,
        beat_interval: float = BEAT,
        backlog: Backlog | None = None,
    ) -> None:
        self._store = store
        self._flows = flows
        self._offload = offload
        self._pod = pod
        self._mode = mode
        self._is_open = is_open
        self._file = FileWatch(store, config_path) if config_path else None
        self._poll_interval = poll_interval
        self._beat_interval = beat_interval
        self._backlog = backlog or Backlog()
        self._builder = TableBuilder()
        self._changed = asyncio.Event()
        self._reload = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._leave: Callable[[], None] | None = None
        self._away = False
        self._left_out: frozenset[FlowProblem] = frozenset()
        self.caught_up = False
        """Whether the row's flows have been served at least once."""

    async def start(self) -> None:
        """Serve the row's flows, offer the file, and keep both up to date. Returns even while the database is away."""
        self._leave = self._store.listen(self._heard)
        await self._once(self._catch_up)
        await self._once(self._look)
        await self._once(self._catch_up)
        self._tasks = [
            asyncio.create_task(self._for_ever(self._catch_up, self._changed, self._beat_interval), name="registry"),
        ]
        if self._file is not None:
            watch = self._for_ever(self._look, self._reload, self._poll_interval)
            self._tasks.append(asyncio.create_task(watch, name="flows file"))

    async def stop(self) -> None:
        """Stop, and delete this pod's row. May be called twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._leave is not None:
            self._leave()
            self._leave = None
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await self._store.leave(self._pod)

    def report(self, caller: Caller) -> FlowsJson:
        """GET /health/flows, from memory: {generation, flows, problems, unroutable, file}, without what this caller may
        not see."""
        shown = problems_shown(caller)
        table = self._flows.table
        seen = [served for served in table.flows.values() if sees(caller, served.flow)]
        return {
            "generation": table.generation,
            "flows": [
                {
                    "name": served.flow.name,
                    "actors": list(served.flow.actors),
                    "mcp": served.flow.mcp is not None,
                    "a2a": served.flow.a2a is not None,
                    "source": served.source,
                    "line": served.line,
                }
                for served in seen
            ],
            "problems": [each.as_dict() for each in table.problems if each.name in shown],
            "unroutable": self._unroutable(None if shown.every else seen),
            "file": None if self._file is None or not shown.every else self._file.state.as_dict(),
        }

    def _unroutable(self, seen: Sequence[ServedFlow] | None) -> list[UnroutableJson]:
        """The actors with missing queues; with `seen`, those of these flows alone."""
        unroutable = self._backlog.figures.unroutable
        if seen is not None and unroutable:
            actors = {actor for served in seen for actor in served.flow.actors}
            unroutable = {actor: missing for actor, missing in unroutable.items() if actor in actors}
        return [
            {"actor": actor, "messages": missing.messages, "reason": missing.reason}
            for actor, missing in sorted(unroutable.items())
        ]

    def _heard(self, news: RegistryNotification) -> None:
        match news:
            case RegistryNotification.CHANGED:
                self._changed.set()
            case RegistryNotification.RELOAD:
                self._reload.set()
            case RegistryNotification.SERVED:
                pass

    async def _catch_up(self) -> None:
        """Report the served generation, and serve the row's if it is another one."""
        current = await self._beat()
        if current == self._flows.table.generation:
            self.caught_up = True
            return
        row = await self._store.read()
        table = await asyncio.to_thread(self._builder.build, await documents_of(row, self._offload))
        self._flows.swap(table)
        self.caught_up = True
        log.info("serving generation %d: %d flows", table.generation, len(table.flows))
        # In a thread, since there may be tens of thousands.
        fresh, self._left_out = await asyncio.to_thread(_fresh_problems, table.problems, self._left_out)
        for problem in fresh[:_TOLD]:
            log.warning("flow left out: %s", problem.text())
        if len(fresh) > _TOLD:
            log.warning("and %d more flows left out; GET /health/flows names them", len(fresh) - _TOLD)
        await self._beat()
        with suppress(Unavailable):
            await self._store.ring(RegistryNotification.SERVED)

    async def _beat(self) -> int:
        return await self._store.beat(self._pod, self._mode, self._flows.table.generation, is_open=self._is_open)

    async def _look(self) -> None:
        if self._file is not None and await self._file.look():
            self._changed.set()

    async def _for_ever(self, work: Callable[[], Awaitable[None]], news: asyncio.Event, every: float) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await news.wait()
            news.clear()
            await self._once(work)

    async def _once(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Unavailable as error:
            if not self._away:
                self._away = True
                log.warning("registry: %s; generation %d stays served", error.message, self._flows.table.generation)
        except Exception:
            # No error may stop the updates for the rest of the process's life.
            log.exception("registry: %s failed", work.__name__)
        else:
            self._away = False


def _fresh_problems(
    problems: Sequence[FlowProblem], known: frozenset[FlowProblem]
) -> tuple[list[FlowProblem], frozenset[FlowProblem]]:
    """Those that the generation before did not have, and all of them."""
    return [each for each in problems if each not in known], frozenset(problems)

"""Keeps mesh's registry equal to the cluster's flows: compute, push until accepted, follow, report."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from asya_operator.domain.backoff import ExponentialBackoff
from asya_operator.domain.errors import OutsideError, RequestRefused, Superseded
from asya_operator.domain.memo import Memo
from asya_operator.domain.ports import Mesh, WatchedKind
from asya_operator.domain.programming import Ledger, MeshState
from asya_operator.domain.registry import ComputedRegistry, RegistryDocument, compute
from asya_operator.reconcilers.sources import Sources
from asya_operator.reconcilers.statuses import StatusInputs, StatusWriter

log = logging.getLogger(__name__)
HOPELESS = 15.0
"""Seconds until a refused push is retried, although retrying is unlikely to help."""


class Watchers(Protocol):
    """Receives events to count (metrics)."""

    def computed(self, outcome: ComputedRegistry, seconds: float) -> None:
        """The registry was computed."""

    def pushed(self, seconds: float, generation: int) -> None:
        """Mesh accepted a document."""

    def push_failed(self) -> None:
        """Mesh did not accept a document."""

    def followed(self, state: MeshState | None) -> None:
        """Mesh reported which generations its pods serve, or did not answer (None)."""


@dataclass(frozen=True, slots=True)
class PushTiming:
    """Times in seconds. A change is processed after `quiet`. While more changes arrive, that wait doubles up to
    `longest`, so that a thousand changes cause few pushes. Mesh's state is read every `look`. The `heartbeat` keeps
    gateways from reading their mounted files, which they do after 30 without one."""

    quiet: float = 0.05
    longest: float = 2.0
    look: float = 2.0
    heartbeat: float = 8.0


class RegistryPusher:
    """The only writer of the registry while this process leads. `may_write` is checked before every push."""

    def __init__(
        self,
        sources: Sources,
        mesh: Mesh,
        statuses: StatusWriter,
        watchers: Watchers,
        holder: str,
        may_write: Callable[[], bool],
        pace: PushTiming | None = None,
    ) -> None:
        self._sources, self._mesh, self._statuses, self._watchers = sources, mesh, statuses, watchers
        self._holder, self._may_write, self._pace = holder, may_write, pace or PushTiming()
        self._memo, self._ledger = Memo(), Ledger()
        self._dirty, self._push_wanted, self._unwritten = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._news = asyncio.Event()
        self._delay, self._computed_at = self._pace.quiet, float("-inf")
        self._outcome: ComputedRegistry | None = None
        self._accepted: tuple[RegistryDocument, int] | None = None
        self._epoch: int | None = None
        self._state: MeshState | None = None
        self._trouble: str | None = None
        self._kept: Mapping[str, tuple[str, ...]] = {}
        self._kept_of: list[str] = []
        self._judged_with: Mapping[str, tuple[str, ...]] = {}
        sources.watch(self._changed)

    def _changed(self, kind: WatchedKind, name: str | None) -> None:
        if kind in (WatchedKind.CONFIGMAPS, WatchedKind.FLOWS, WatchedKind.ACTORS):
            self._dirty.set()

    async def run(self) -> None:
        """Push until cancelled. Raises Superseded once a newer leader has announced itself."""
        async with asyncio.TaskGroup() as group:
            for part in (self._reconcile, self._push, self._follow, self._beat, self._write_statuses):
                group.create_task(part(), name=part.__name__)

    async def _reconcile(self) -> None:
        while True:
            await self._burst()
            if not self._sources.complete:
                continue
            began = time.perf_counter()
            kept = self._kept
            inputs = replace(self._sources.inputs(), kept=kept)
            try:
                outcome = await asyncio.to_thread(compute, inputs, self._memo.readers)
            except Exception as error:
                # Flows that are served stay served, and the next change may fix the cause.
                log.exception("the registry cannot be computed")
                self._failed(f"the registry cannot be computed: {type(error).__name__}")
                continue
            self._memo.forget_all_but(inputs.flows)
            self._watchers.computed(outcome, time.perf_counter() - began)
            self._outcome, self._judged_with = outcome, kept
            self._push_wanted.set()
            self._unwritten.set()

    async def _burst(self) -> None:
        """Wait for a change, and then for those that come with it. The wait grows with the length of the burst."""
        await self._dirty.wait()
        now = time.monotonic()
        lasting = now - self._computed_at < 2 * self._delay
        self._delay = min(2 * self._delay, self._pace.longest) if lasting else self._pace.quiet
        await asyncio.sleep(self._delay)
        self._computed_at = time.monotonic()
        self._dirty.clear()

    async def _push(self) -> None:
        backoff = ExponentialBackoff()
        while True:
            await self._push_wanted.wait()
            self._push_wanted.clear()
            outcome = self._outcome
            if outcome is None or (self._accepted is not None and self._accepted[0] == outcome.document):
                continue
            try:
                await self._push_once(outcome)
            except Superseded:
                raise
            except Exception as error:
                foreseen = isinstance(error, OutsideError)
                if not foreseen:
                    log.exception("the registry cannot be pushed")
                self._failed(str(error) if foreseen else f"writing failed: {type(error).__name__}")
                self._push_wanted.set()
                helps = foreseen and not isinstance(error, RequestRefused)
                await asyncio.sleep(backoff.failed() if helps else HOPELESS)
            else:
                backoff.succeeded()

    async def _push_once(self, outcome: ComputedRegistry) -> None:
        if self._epoch is None:
            self._epoch = await self._mesh.announce(self._holder)
            log.info("leading with epoch %d", self._epoch)
        if not self._may_write():
            raise Superseded("the lease was lost")
        began = time.perf_counter()
        accepted = await self._mesh.push(self._epoch, outcome.document)
        generation = accepted.generation
        self._watchers.pushed(time.perf_counter() - began, generation)
        log.info("pushed %d flows as generation %d", len(outcome.served), generation)
        self._accepted = (outcome.document, generation)
        left_out = outcome.left_out(accepted.problems)
        for name in left_out.keys() - self._ledger.left_out.keys():
            log.warning("gateways do not serve the flow %s: %s", name, left_out[name])
        self._ledger.pushed(outcome.served, generation, left_out)
        if accepted.kept != self._kept:
            self._dirty.set()
        self._kept, self._kept_of = accepted.kept, outcome.document.configmap.unreadable
        self._trouble = None
        self._news.set()
        self._unwritten.set()

    def _failed(self, reason: str) -> None:
        self._watchers.push_failed()
        if self._trouble != reason:
            log.warning("the registry is not pushed: %s", reason)
        self._trouble = reason
        self._unwritten.set()

    async def _follow(self) -> None:
        backoff = ExponentialBackoff()
        while True:
            asked_after = self._accepted
            self._news.clear()
            try:
                state = await self._ask_mesh(asked_after[1] if asked_after else None)
            except OutsideError as error:
                if self._state is not None:
                    log.warning("mesh does not respond: %s", error)
                self._seen(None)
                await asyncio.sleep(backoff.failed())
                continue
            backoff.succeeded()
            if state is None:
                continue
            self._seen(state)
            # An older generation: a restored database has lost our push. A newer one: a pod read its file while our
            # heartbeat was stale. Our registry takes precedence in both cases, and pushing the same content again is
            # harmless.
            if asked_after is not None and asked_after is self._accepted and state.generation != asked_after[1]:
                self._accepted = None
                self._push_wanted.set()
            if asked_after is None or state.served_everywhere(asked_after[1]):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), self._pace.look)

    async def _ask_mesh(self, generation: int | None) -> MeshState | None:
        """Mesh's state; None if a push succeeded meanwhile and made the question obsolete."""
        question = asyncio.create_task(self._mesh.state(generation, self._pace.look))
        news = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait((question, news), return_when=asyncio.FIRST_COMPLETED)
            return question.result() if question.done() else None
        finally:
            question.cancel()
            news.cancel()

    def _seen(self, state: MeshState | None) -> None:
        if self._ledger.left_out and state is not None and self._state is not None and state.names != self._state.names:
            # Other pods may have another version, which serves flows that these leave out. Only a push shows it.
            self._accepted = None
            self._push_wanted.set()
        if state != self._state:
            self._state = state
            self._unwritten.set()
        self._watchers.followed(state)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._pace.heartbeat)
            if self._epoch is not None and self._may_write():
                with contextlib.suppress(OutsideError):
                    await self._mesh.heartbeat(self._epoch)

    async def _write_statuses(self) -> None:
        backoff = ExponentialBackoff(first=0.1, longest=5.0)
        while True:
            await self._unwritten.wait()
            self._unwritten.clear()
            if self._outcome is None or not self._may_write() or self._waits_for_kept(self._outcome):
                continue
            if await self._statuses.write(self._standing):
                backoff.succeeded()
            else:
                self._unwritten.set()
                await asyncio.sleep(backoff.failed())

    def _waits_for_kept(self, outcome: ComputedRegistry) -> bool:
        """Whether names are in force that only mesh knows, which its answer to the push will report. If the push fails,
        conditions are written without them, because the failed push is more important."""
        told = self._kept_of == outcome.document.configmap.unreadable and self._judged_with == self._kept
        return not told and self._trouble is None

    def _standing(self) -> StatusInputs:
        """The current state."""
        assert self._outcome is not None, "asked only after something was computed"
        return StatusInputs(self._outcome, self._ledger, self._state, self._trouble)

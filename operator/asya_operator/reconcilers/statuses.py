"""Writes conditions on Flows, the report on the ConfigMap, and Events, each only if it changed."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_operator.domain.conditions import Condition, merge, state_of
from asya_operator.domain.errors import ApiForbidden, Conflicting, OutsideError, Vanished
from asya_operator.domain.ports import Cluster, KubernetesEvent, WatchedKind
from asya_operator.domain.programming import Ledger, MeshState, programmed
from asya_operator.domain.registry import ComputedRegistry, Verdict, text_of
from asya_operator.domain.report import REPORT_ANNOTATION, report
from asya_operator.domain.views import Body
from asya_operator.reconcilers.sources import Sources, deleting

log = logging.getLogger(__name__)
PARALLEL = 16
"""Concurrent writes: enough to hide the API server's latency, few enough to leave capacity for others."""


Conditions = tuple[Condition, Condition, Condition]
"""Accepted, ResolvedRefs, Programmed."""


@dataclass(frozen=True, slots=True)
class StatusInputs:
    """The inputs of the conditions."""

    outcome: ComputedRegistry
    ledger: Ledger
    mesh: MeshState | None
    trouble: str | None

    def verdict(self, body: Body) -> Verdict | None:
        """The verdict on a Flow's current version; None if only an older version was judged. (Written to the newer
        version, that verdict would promise that the newer one is served.)"""
        name = body["metadata"]["name"]
        return self.outcome.resources.get(name) if self.outcome.judged.get(name) == text_of(body) else None

    def programmed(self, verdict: Verdict) -> Condition:
        """The condition Programmed of one flow."""
        return programmed(self.flow(verdict), self.ledger, self.mesh, self.trouble)

    def conditions(self, verdict: Verdict) -> Conditions:
        """All three conditions of one flow."""
        return verdict.accepted, verdict.resolved, self.programmed(verdict)

    def flow(self, verdict: Verdict) -> Flow | None:
        """The served flow; None if it is not served."""
        return self.outcome.served.get(verdict.name) if verdict.served else None


class StatusWriter:
    """One pass over every object with a status. Failures are counted and retried in the next pass."""

    def __init__(
        self,
        cluster: Cluster,
        sources: Sources,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),  # noqa: TID251 # shown, and compared with nothing
        wrote: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._cluster, self._sources, self._clock, self._wrote = cluster, sources, clock, wrote
        self._checked: dict[str, tuple[Any, ...]] = {}

    async def write(self, current: Callable[[], StatusInputs]) -> bool:
        """Returns True if everything is written, False if something must be retried.

        Each write uses the state at its own time. A pass over a thousand flows outlasts the push and would otherwise
        write each of them twice. Events are posted after the conditions, which are more important.
        """
        gate = asyncio.Semaphore(PARALLEL)
        notices: list[KubernetesEvent] = []

        async def one(name: str) -> bool:
            async with gate:
                return await self._write_flow(name, current(), notices)

        results = await asyncio.gather(*(one(name) for name in self._outdated(current())))
        reported = await self._write_report(current())
        for notice in notices:
            await self._cluster.post(notice)
        return all(results) and reported

    def _outdated(self, standing: StatusInputs) -> list[str]:
        """Flows whose conditions are outdated. A flow that was up to date and has not changed costs one comparison,
        because usually one of a thousand changes at a time."""
        checked, self._checked = self._checked, {}
        outdated = []
        for body in self._sources.flows():
            name = body["metadata"]["name"]
            verdict = standing.verdict(body)
            if verdict is None:
                continue
            conditions = standing.conditions(verdict)
            state = (body["metadata"].get("uid"), body["metadata"].get("resourceVersion"), conditions)
            if checked.get(name) != state and self._changes(body, conditions) is not None:
                outdated.append(name)
            else:
                self._checked[name] = state
        return outdated

    def _changes(self, body: Body, conditions: Conditions) -> list[dict[str, Any]] | None:
        existing = (body.get("status") or {}).get("conditions") or []
        return merge(existing, conditions, int(body["metadata"].get("generation") or 0), self._clock())

    async def _write_flow(self, name: str, standing: StatusInputs, notices: list[KubernetesEvent]) -> bool:
        body = self._sources.views[WatchedKind.FLOWS].get(name)
        if body is None or deleting(body) or (verdict := standing.verdict(body)) is None:
            return True
        conditions = standing.conditions(verdict)
        merged = self._changes(body, conditions)
        if merged is None:
            return True
        flow = standing.flow(verdict)
        carried = {"registryGeneration": standing.ledger.since(flow)} if flow is not None else {}
        status = {"conditions": merged, "observedGeneration": int(body["metadata"].get("generation") or 0), **carried}
        try:
            written = await self._cluster.patch_status(WatchedKind.FLOWS, body, status)
        except Vanished:
            return True
        except Conflicting:
            self._sources.list_again(WatchedKind.FLOWS)
            return False
        except OutsideError as error:
            self._refused("flows/status", error)
            log.info("status of Flow %s not written: %s", body["metadata"]["name"], error)
            return False
        self._wrote("flow")
        self._sources.health.denied.pop("flows/status", None)
        self._sources.written(WatchedKind.FLOWS, written)
        notices += [notice for condition in conditions[:2] if (notice := _notice(body, condition)) is not None]
        return True

    def _refused(self, what: str, error: OutsideError) -> None:
        if isinstance(error, ApiForbidden):
            self._sources.health.denied[what] = str(error)

    async def _write_report(self, standing: StatusInputs) -> bool:
        body = self._sources.configmap
        if body is None or deleting(body):
            return True
        text = report(standing.outcome, lambda item: standing.programmed(item.verdict))
        before = (body["metadata"].get("annotations") or {}).get(REPORT_ANNOTATION)
        if before == text:
            return True
        try:
            written = await self._cluster.annotate(WatchedKind.CONFIGMAPS, body, {REPORT_ANNOTATION: text})
        except Vanished:
            return True
        except OutsideError as error:
            self._refused("configmaps/report", error)
            log.warning("report on the ConfigMap not written: %s", error)
            return False
        self._wrote("configmap")
        self._sources.health.denied.pop("configmaps/report", None)
        self._sources.written(WatchedKind.CONFIGMAPS, written)
        for problem in _new_problems(before, text):
            place = f"{problem['key']} line {problem['line']}"
            message = f"{place}, {problem['name'] or 'unnamed'}: {problem['message']}"
            await self._cluster.post(KubernetesEvent(body, True, problem["reason"], message))
        return True


def _notice(body: Body, condition: Condition) -> KubernetesEvent | None:
    """An Event if a condition became false, changed its reason, or became true again."""
    before = state_of(body, condition.type)
    was_good = before is None or before.get("status") == "True"
    if condition.state == "False" and (was_good or (before or {}).get("message") != condition.message):
        return KubernetesEvent(body, True, condition.reason, condition.message)
    if condition.holds and before is not None and before.get("status") == "False":
        return KubernetesEvent(body, False, condition.reason, condition.message)
    return None


def _new_problems(before: str | None, after: str) -> list[dict[str, Any]]:
    try:
        known = jsontext.loads(before or "{}").get("problems") or []
    except (ValueError, AttributeError):
        known = []
    return [problem for problem in jsontext.loads(after)["problems"] if problem not in known][:20]

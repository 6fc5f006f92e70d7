"""Writes what was decided: conditions on Flows, the report on the ConfigMap, Events; only where it changed."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asya_crds.flow import Flow
from asya_operator.domain.conditions import Condition, merge, state_of
from asya_operator.domain.errors import Conflicting, Denied, OutsideError, Vanished
from asya_operator.domain.ports import Cluster, Kind, Notice
from asya_operator.domain.programming import Ledger, MeshState, programmed
from asya_operator.domain.registry import Outcome, Verdict
from asya_operator.domain.report import REPORT_ANNOTATION, report
from asya_operator.domain.sources import Sources, deleting
from asya_operator.domain.views import Body

log = logging.getLogger(__name__)
Conditions = tuple[Condition, Condition, Condition]
"""Accepted, ResolvedRefs, Programmed."""
PARALLEL = 8
"""Writes in flight: enough to hide the API server's latency, few enough to leave it to others."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All that conditions are made of."""

    outcome: Outcome
    ledger: Ledger
    mesh: MeshState | None
    trouble: str | None

    def programmed(self, verdict: Verdict) -> Condition:
        """The condition Programmed of one flow."""
        return programmed(self.flow(verdict), self.ledger, self.mesh, self.trouble)

    def flow(self, verdict: Verdict) -> Flow | None:
        """The flow as it is served; None where it is not."""
        return self.outcome.served.get(verdict.name) if verdict.served else None


class StatusWriter:
    """One pass over everything that carries a status. Failures are counted and tried again by the next pass."""

    def __init__(
        self,
        cluster: Cluster,
        sources: Sources,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wrote: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._cluster, self._sources, self._clock, self._wrote = cluster, sources, clock, wrote
        self._checked: dict[str, tuple[Any, ...]] = {}

    async def write(self, standing: Standing) -> bool:
        """True where everything is written; False where something must be tried again."""
        gate = asyncio.Semaphore(PARALLEL)

        async def one(body: Body, verdict: Verdict, conditions: Conditions, merged: list[dict[str, Any]]) -> bool:
            flow = standing.flow(verdict)
            extra = {"registryGeneration": standing.ledger.since(flow)} if flow is not None else {}
            async with gate:
                return await self._write_flow(body, merged, conditions, extra)

        results = await asyncio.gather(*(one(*each) for each in self._outdated(standing)))
        return all(results) and await self._write_report(standing)

    def _outdated(self, standing: Standing) -> list[tuple[Body, Verdict, Conditions, list[dict[str, Any]]]]:
        """Flows that say something else than they should. Those that were found right and have not changed since
        cost one comparison: of a thousand flows one changes at a time."""
        checked, self._checked = self._checked, {}
        outdated = []
        for body in self._sources.flows():
            name = body["metadata"]["name"]
            verdict = standing.outcome.resources.get(name)
            if verdict is None:
                continue
            conditions = (verdict.accepted, verdict.resolved, standing.programmed(verdict))
            state = (body["metadata"].get("uid"), body["metadata"].get("resourceVersion"), conditions)
            if checked.get(name) != state:
                merged = self._changes(body, conditions)
                if merged is not None:
                    outdated.append((body, verdict, conditions, merged))
                    continue
            self._checked[name] = state
        return outdated

    def _changes(self, body: Body, conditions: Conditions) -> list[dict[str, Any]] | None:
        existing = (body.get("status") or {}).get("conditions") or []
        return merge(existing, conditions, int(body["metadata"].get("generation") or 0), self._clock())

    async def _write_flow(
        self, body: Body, merged: list[dict[str, Any]], conditions: Conditions, extra: Mapping[str, Any]
    ) -> bool:
        generation = int(body["metadata"].get("generation") or 0)
        status = {"conditions": merged, "observedGeneration": generation, **extra}
        try:
            written = await self._cluster.patch_status(Kind.FLOWS, body, status)
        except Vanished:
            return True
        except Conflicting:
            self._sources.list_again(Kind.FLOWS)
            return False
        except OutsideError as error:
            self._refused("flows/status", error)
            log.info("status of Flow %s not written: %s", body["metadata"]["name"], error)
            return False
        self._wrote("flow")
        self._sources.health.denied.pop("flows/status", None)
        self._sources.written(Kind.FLOWS, written)
        for condition in conditions[:2]:
            await self._tell(body, condition)
        return True

    async def _tell(self, body: Body, condition: Condition) -> None:
        """An Event when a condition turned bad, changed its reason, or was mended."""
        before = state_of(body, condition.type)
        was_good = before is None or before.get("status") == "True"
        if condition.state == "False" and (was_good or (before or {}).get("message") != condition.message):
            await self._cluster.post(Notice(body, True, condition.reason, condition.message))
        elif condition.holds and not was_good and (before or {}).get("status") == "False":
            await self._cluster.post(Notice(body, False, condition.reason, condition.message))

    def _refused(self, what: str, error: OutsideError) -> None:
        if isinstance(error, Denied):
            self._sources.health.denied[what] = str(error)

    async def _write_report(self, standing: Standing) -> bool:
        body = self._sources.configmap
        if body is None or deleting(body):
            return True
        text = report(standing.outcome, lambda item: standing.programmed(item.verdict))
        before = (body["metadata"].get("annotations") or {}).get(REPORT_ANNOTATION)
        if before == text:
            return True
        try:
            written = await self._cluster.annotate(Kind.CONFIGMAPS, body, {REPORT_ANNOTATION: text})
        except Vanished:
            return True
        except OutsideError as error:
            self._refused("configmaps/report", error)
            log.warning("report on the ConfigMap not written: %s", error)
            return False
        self._wrote("configmap")
        self._sources.health.denied.pop("configmaps/report", None)
        self._sources.written(Kind.CONFIGMAPS, written)
        for problem in _new_problems(before, text):
            place = f"{problem['key']} line {problem['line']}"
            message = f"{place}, {problem['name'] or 'unnamed'}: {problem['message']}"
            await self._cluster.post(Notice(body, True, problem["reason"], message))
        return True


def _new_problems(before: str | None, after: str) -> list[dict[str, Any]]:
    try:
        known = json.loads(before or "{}").get("problems") or []
    except (ValueError, AttributeError):
        known = []
    return [problem for problem in json.loads(after)["problems"] if problem not in known][:20]

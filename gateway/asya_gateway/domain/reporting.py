"""What actors do to tasks: progress, questions, children, live events, ends."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from asya_crds.status import ErrorClass
from asya_crds.violation import ArgumentCheck
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.hop_reports import (
    BeginReport,
    CrewReport,
    EndReport,
    HopAsked,
    HopBegun,
    HopEnded,
    HopStanding,
    PartReport,
)
from asya_gateway.domain.inputs import answer_schema
from asya_gateway.domain.ports import FlyBroadcast, TaskStore
from asya_gateway.domain.reports import (
    ChildAnnouncement,
    FinalOutcome,
    FinalReport,
    PauseReport,
    ProgressAnswer,
    ProgressReport,
)
from asya_gateway.domain.resource_changes import ResourceChanges, announced
from asya_gateway.domain.task import FlyEvent
from asya_gateway.telemetry.context import about
from asya_gateway.telemetry.spans import Spans

DEADLINE_CODE = "deadline_exceeded"
_MAY_BE_LATE = (ErrorClass.BUSINESS, ErrorClass.RUNTIME)


class TaskReporting:
    """The verbs of the mesh. Every method raises Unavailable while Postgres is away."""

    def __init__(
        self,
        store: TaskStore,
        fly: FlyBroadcast,
        compile_schema: Callable[[Mapping[str, Any]], ArgumentCheck],
        spans: Spans,
        resources: ResourceChanges,
    ) -> None:
        self._store = store
        self._fly = fly
        self._resources = resources
        self._compile_schema = compile_schema
        self._spans = spans

    async def report(self, report: ProgressReport) -> ProgressAnswer:
        """Take a progress report. A stale report changes nothing; an unknown id is ignored."""
        about(report.task_id)
        with self._spans.verb("report", report.task_id):
            return await self._store.report(report)

    def begin(self, report: BeginReport) -> Awaitable[HopBegun]:
        """Take the beginning of a hop. An unknown id is ignored."""
        # Many come in one request, so there is no coroutine for each.
        return self._store.begin(report)

    def end(self, report: EndReport) -> Awaitable[HopEnded]:
        """Take the end of a hop: everything that follows from it, or nothing."""
        return self._store.end(report)

    def keep_part(self, report: PartReport) -> Awaitable[HopEnded]:
        """Store some envelopes of a hop until its end."""
        return self._store.keep_part(report)

    async def crew_says(self, report: CrewReport) -> None:
        """Take a crew's word that it runs. While no crew with hooks does, ends write successes themselves."""
        await self._store.crew_says(report)

    async def finish(self, report: FinalReport) -> FinalOutcome:
        """Take a final report. The first one wins, but a reported end replaces an end that the gateway assumed because
        none was reported. A failure reported after the task's deadline is recorded as the deadline's."""
        about(report.task_id)
        with self._spans.verb("final", report.task_id):
            if report.error is None or report.error.error_class not in _MAY_BE_LATE:
                late, outcome = report, await self._store.finish(report)
            else:
                error = replace(report.error, code=DEADLINE_CODE, error_class=ErrorClass.DEADLINE)
                late = replace(report, error=error)
                outcome = await self._store.finish(replace(report, in_time_only=True))
                if outcome is FinalOutcome.UNTIMELY:
                    outcome = await self._store.finish(late)
            if outcome is FinalOutcome.ENDED_BEFORE and await self._store.replace_unreported(report, late):
                return FinalOutcome.APPLIED
            return outcome

    async def expect_final(self, task_id: str) -> None:
        """Limit how long a task waits for its final report, after one arrived incomplete."""
        about(task_id)
        await self._store.expect_final(task_id)

    async def pause(self, report: PauseReport) -> ProgressAnswer:
        """Take a question; the task's clock stops. Raises InvalidInput."""
        about(report.task_id)
        with self._spans.verb("pause", report.task_id):
            return await self._store.pause(self._answerable(report))

    def _answerable(self, report: PauseReport) -> PauseReport:
        """The report, if answers can be checked against its schemas. Raises InvalidInput."""
        pause = report.pause
        schemas = {f"inputs.{each.key}.params.requestedSchema": answer_schema(each) for each in pause.inputs}
        for field, schema in (schemas or {"schema": pause.schema}).items():
            try:
                self._compile_schema(schema)
            except ValueError as error:
                raise InvalidInput(str(error), field=f"pause_metadata.{field}") from None
        return report

    async def announce(self, child: ChildAnnouncement) -> None:
        """Take the announcement of a fan-out's child."""
        about(child.task_id)
        with self._spans.verb("announce", child.task_id):
            await self._store.announce(child)

    async def fly(self, events: Sequence[FlyEvent]) -> None:
        """Pass live events of one task to its current readers, in order, and tell subscribers of the resources that
        they announce to have changed. Raises Overloaded."""
        about(events[0].task_id)
        await self._fly.send(events)
        if changed := announced(events):
            await self._resources.announce(changed)

    async def active(self, task_id: str) -> bool:
        """Whether work on this task makes sense. An unknown id counts as active: it may be another gateway's."""
        about(task_id)
        return await self._store.active(task_id)

    async def standing(self, asked: HopAsked) -> HopStanding | None:
        """What is known of a hop whose message is a dead letter; None for an unknown task."""
        about(asked.task_id)
        return await self._store.standing(asked)

    async def ends_with_ancestor(self, task_id: str) -> bool:
        """Whether the task is open and has an ancestor whose end also ends it."""
        return await self._store.ends_with_ancestor(task_id)

"""The one door and the one log: the verbs that every protocol calls, and nothing that a protocol speaks."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from asya_crds.status import ErrorClass, TaskStatus, UpdateKind
from asya_crds.task_error import TaskError
from asya_crds.violation import ArgumentCheck, Violation
from asya_gateway.domain.answering import Answering
from asya_gateway.domain.calls import Call, TaskRules
from asya_gateway.domain.clock import Clock, own_time
from asya_gateway.domain.errors import (
    Conflict,
    InvalidArguments,
    InvalidInput,
    TaskNotFound,
    TooLarge,
    after_a_write,
)
from asya_gateway.domain.following import follow_groups, one_by_one
from asya_gateway.domain.fresh import blank
from asya_gateway.domain.idempotency import own_key
from asya_gateway.domain.ids import new_task_id
from asya_gateway.domain.ports import (
    Digester,
    Examiner,
    Filler,
    FlyBroadcast,
    NewTask,
    RequestKey,
    TaskFilter,
    TaskPage,
    TaskStore,
    Terms,
    UpdateFeed,
    digested_here,
    examined_here,
    filled_here,
)
from asya_gateway.domain.reports import (
    ChildAnnouncement,
    FinalOutcome,
    FinalReport,
    PauseReport,
    ProgressAnswer,
    ProgressReport,
)
from asya_gateway.domain.task import (
    MESH,
    Asker,
    Caller,
    FlyEvent,
    JsonText,
    Snapshot,
    Task,
    TaskHead,
    TaskUpdate,
    final_update_of,
    owner_of,
)
from asya_gateway.domain.text import shortened
from asya_gateway.telemetry.context import about
from asya_gateway.telemetry.observer import SILENT, Observer

log = logging.getLogger(__name__)

DEADLINE_CODE = "deadline_exceeded"
_MAY_BE_LATE = (ErrorClass.BUSINESS, ErrorClass.RUNTIME)


class Tasks:
    """Everything that can be done to a task. Every method raises Unavailable while Postgres is away. `clock` tells
    the database's time, from which the deadlines in envelopes are."""

    def __init__(
        self,
        store: TaskStore,
        feed: UpdateFeed,
        fly: FlyBroadcast,
        rules: TaskRules,
        compile_schema: Callable[[Mapping[str, Any]], ArgumentCheck],
        observer: Observer = SILENT,
        examine: Examiner = examined_here,
        fill: Filler = filled_here,
        digest: Digester = digested_here,
        clock: Clock = own_time,
    ) -> None:
        self._now = clock
        self._store = store
        self._feed = feed
        self._fly = fly
        self._rules = rules
        self._compile_schema = compile_schema
        self._examine = examine
        self._digest = digest
        self._observer = observer
        self._spans = observer.spans
        self._answering = Answering(store, rules, compile_schema, examine, fill, observer.spans, clock)
        self._plain = rules.owner_cap is None and rules.flow_cap is None

    # What callers do

    async def submit(self, call: Call) -> str:
        """Accept a call and return its task's id: the task is committed and will be delivered at least once. A call
        whose key names a task already is that task's.

        Raises InvalidArguments, TooLarge, KeyReused, TooManyTasks, Overloaded, Unavailable; nothing is stored then,
        unless Unavailable is uncertain.
        """
        started = time.perf_counter()
        flow = call.served.flow.name
        try:
            violations, payload = await self._examine(call.served.check if call.check else None, call.payload)
            if violations:
                about(flow=flow)
                raise InvalidArguments(violations)
            task_id = new_task_id()
            about(task_id, flow)
            with self._spans.verb("submit", task_id, flow):
                new = self._new_task(task_id, call, payload)
                self._rules.check_size(new.envelope, "arguments")
                if self._plain and call.key is None and call.retry_of is None:
                    await self._store.create(new)
                elif (stored := await self._store.admit(new, await self._terms(call))) != task_id:
                    about(stored)
                    return stored
        except (InvalidArguments, TooLarge):
            repeated = await self._repeated(call)
            if repeated is None:
                raise
            return repeated
        self._observer.accepted(flow, call.surface, time.perf_counter() - started)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("accepted by %s", call.surface)
        return task_id

    async def _terms(self, call: Call) -> Terms:
        digest = None if call.key is None else await self._digest(*call.identity)
        return Terms(call.key, digest, call.retry_of, owner_cap=self._rules.owner_cap, flow_cap=self._rules.flow_cap)

    async def _repeated(self, call: Call) -> str | None:
        """The task of a call that was accepted before, though it would not be now: a flow's schema may have changed
        between a call and its repetition. Raises KeyReused."""
        if call.key is None:
            return None
        return await self._store.find_call(call.caller.owner, call.key, await self._digest(*call.identity))

    async def earlier(self, caller: Caller, key: str | None, flow: str, payload: Any) -> str | None:
        """The task of a call of a flow that is not served any more, where it was accepted under this key while it was.
        Raises KeyReused."""
        if key is None:
            return None
        return await self._store.find_call(caller.owner, key, await self._digest("call", flow, payload))

    def _new_task(self, task_id: str, call: Call, payload: JsonText) -> NewTask:
        flow = call.served.flow
        now = self._now()
        envelope = blank(call.served, self._rules.mesh_url)
        return NewTask(
            id=task_id,
            flow=flow.name,
            owner=call.caller.owner,
            surface=call.surface,
            route=envelope.route_json,
            actor=flow.entrypoint,
            context_id=call.context_id,
            timeout=self._rules.default_timeout if flow.timeout is None else flow.timeout,
            payload=payload,
            envelope=envelope.filled(task_id, {**call.headers, **self._spans.outgoing()}, now, payload),
        )

    async def violations(self, check: ArgumentCheck, value: Any) -> Sequence[Violation]:
        """Where a value breaks a schema, found without holding the event loop. Raises Overloaded."""
        violations, _ = await self._examine(check, value)
        return violations

    async def retriable(self, task_id: str, caller: Caller) -> Task:
        """A call's task that has ended, which may be run again by a Call with its id as `retry_of`. Raises
        TaskNotFound, Conflict."""
        task = await self.get(task_id, caller)
        if task.parent_id is not None:
            raise Conflict("expected the task of a call; this one is a child of another", field="parent_id")
        if not task.status.terminal:
            raise Conflict(f"expected a task that has ended; it is {task.status}", field="status")
        return task

    async def get(self, task_id: str, caller: Asker, *, payload: bool = True) -> Task:
        """The task with result, error, open pause and, where it is asked for, payload: to be rendered and dropped.
        Raises TaskNotFound.
        """
        about(task_id)
        task = await self._store.get(task_id, owner=owner_of(caller), payload=payload)
        if task is None:
            raise TaskNotFound(task_id)
        return task

    async def head(self, task_id: str, caller: Asker) -> TaskHead:
        """The task without its bodies. Raises TaskNotFound."""
        about(task_id)
        task = await self._store.head(task_id, owner=owner_of(caller))
        if task is None:
            raise TaskNotFound(task_id)
        return task

    async def whole(self, update: TaskUpdate) -> TaskUpdate:
        """An entry that its caller was given, with the bodies that were left out of it (`update.whole`): to be
        rendered and dropped. Raises TaskNotFound where the task was removed meanwhile."""
        if update.whole:
            return update
        found = await self._store.update(update.task_id, update.seq)
        if found is not None:
            return found
        task = await self.get(update.task_id, MESH, payload=False)
        if update.kind is UpdateKind.FINAL and task.status.terminal:
            return final_update_of(task, result=task.result, error=task.error)
        return replace(update, whole=True)

    async def page(self, query: TaskFilter) -> TaskPage:
        """A page of tasks without bodies, newest first."""
        return await self._store.page(query)

    async def count(self, query: TaskFilter) -> int:
        """How many tasks there are up to the end of a list's page."""
        return await self._store.count(query)

    async def cancel(
        self, task_id: str, caller: Asker, reason: str = "Task canceled", *, key: str | None = None
    ) -> TaskHead:
        """End a task that has not ended, and its descendants; of a reason that is too long the beginning is kept. Who
        repeats it under the same key, having lost the first answer, gets the task. Raises TaskNotFound, Conflict,
        KeyReused."""
        about(task_id)
        report = _cancellation(task_id, caller, shortened(reason))
        request = RequestKey("cancel", key or own_key(), await self._digest("cancel", reason))
        with self._spans.verb("cancel", task_id):
            outcome = await self._store.cancel(report, request)
        if outcome is FinalOutcome.APPLIED:
            with after_a_write():
                return await self.head(task_id, caller)
        task = await self.head(task_id, caller)
        raise Conflict(f"expected a task that has not ended; it is {task.status}", field="status")

    async def abandon(self, task_id: str, caller: Asker, reason: str) -> None:
        """End an abandoned task; one that has ended is not changed."""
        about(task_id)
        with self._spans.verb("cancel", task_id):
            await self._store.finish(_cancellation(task_id, caller, reason))

    async def answer(
        self,
        task_id: str,
        caller: Asker,
        answer: Any,
        *,
        pause_id: str | None = None,
        key: str | None = None,
    ) -> TaskHead:
        """Answer the question a task waits on; the first answer wins, and the task is running before x-resume
        hears of it. Who repeats it under the same key gets the task.

        Raises TaskNotFound, Conflict, InvalidArguments, KeyReused."""
        about(task_id)
        request = None if key is None else RequestKey("answer", key, await self._digest("answer", answer, pause_id))
        if not await self._answering.answered(task_id, caller, request):
            try:
                await self._answering.give(task_id, caller, answer, pause_id, request)
            except Conflict:
                # Two of the same key may have come together.
                if not await self._answering.answered(task_id, caller, request):
                    raise
        with after_a_write():
            return await self.head(task_id, caller)

    def follow_groups(
        self,
        task_id: str,
        caller: Asker,
        *,
        after: int = 0,
        keepalive: float = 15.0,
        fly: bool = True,
    ) -> AsyncGenerator[Snapshot | Sequence[TaskUpdate | FlyEvent]]:
        """Yields a Snapshot, then groups of updates and live events to the end."""
        about(task_id)
        return follow_groups(
            self._store,
            self._feed,
            task_id,
            owner=owner_of(caller),
            after=after,
            keepalive=keepalive,
            fly=fly,
        )

    def follow(
        self,
        task_id: str,
        caller: Asker,
        *,
        after: int = 0,
        keepalive: float = 15.0,
        fly: bool = True,
    ) -> AsyncGenerator[Snapshot | TaskUpdate | FlyEvent | None]:
        """The same items singly; None when nothing came for `keepalive` seconds."""
        return one_by_one(self.follow_groups(task_id, caller, after=after, keepalive=keepalive, fly=fly))

    # What actors do

    async def report(self, report: ProgressReport) -> ProgressAnswer:
        """Take a progress report; a stale one changes nothing, an unknown id is ignored."""
        about(report.task_id)
        with self._spans.verb("report", report.task_id):
            return await self._store.report(report)

    async def finish(self, report: FinalReport) -> FinalOutcome:
        """Take a final report; the first one wins. A failure that comes after the task's deadline is the deadline's."""
        about(report.task_id)
        with self._spans.verb("final", report.task_id):
            if report.error is None or report.error.error_class not in _MAY_BE_LATE:
                return await self._store.finish(report)
            outcome = await self._store.finish(replace(report, in_time_only=True))
            if outcome is FinalOutcome.UNTIMELY:
                late = replace(report.error, code=DEADLINE_CODE, error_class=ErrorClass.DEADLINE)
                outcome = await self._store.finish(replace(report, error=late))
            return outcome

    async def expect_final(self, task_id: str) -> None:
        """Let a task wait only a while longer for its final report, which arrived incompletely."""
        about(task_id)
        await self._store.expect_final(task_id)

    async def pause(self, report: PauseReport) -> ProgressAnswer:
        """Take a question; the clock stops. Raises InvalidInput."""
        about(report.task_id)
        with self._spans.verb("pause", report.task_id):
            return await self._store.pause(self._answerable(report))

    def _answerable(self, report: PauseReport) -> PauseReport:
        """Refuse a question whose schema no answer could be held against. Raises InvalidInput."""
        try:
            self._compile_schema(report.pause.schema)
        except ValueError as error:
            raise InvalidInput(str(error), field="pause_metadata.schema") from None
        return report

    async def announce(self, child: ChildAnnouncement) -> None:
        """Take a fan-out's child."""
        about(child.task_id)
        with self._spans.verb("announce", child.task_id):
            await self._store.announce(child)

    async def fly(self, event: FlyEvent) -> None:
        """Pass a live event to the current readers."""
        about(event.task_id)
        await self._fly.send(event)

    async def active(self, task_id: str) -> bool:
        """Whether work on this id makes sense: unknown ids are somebody else's, so they count as active."""
        about(task_id)
        return await self._store.active(task_id)

    async def ends_with_ancestor(self, task_id: str) -> bool:
        """Whether a task is open and has an ancestor whose end is its own, too."""
        return await self._store.ends_with_ancestor(task_id)


def _cancellation(task_id: str, caller: Asker, reason: str) -> FinalReport:
    return FinalReport(
        task_id=task_id,
        status=TaskStatus.CANCELED,
        message=reason,
        error=TaskError("canceled", reason, ErrorClass.CANCELED),
        owner=owner_of(caller),
    )

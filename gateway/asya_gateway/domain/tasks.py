"""The one entry to tasks: the verbs that every protocol calls. Nothing here knows a protocol."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from asya_crds.answers import AnswerAction
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_crds.violation import ArgumentCheck, Violation
from asya_gateway.domain.answering import Answering, Said
from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.calls import Accepted, Call, TaskRules
from asya_gateway.domain.clock import Clock, own_time
from asya_gateway.domain.errors import Conflict, InvalidInput, after_a_write
from asya_gateway.domain.idempotency import own_key
from asya_gateway.domain.identity.access import readable
from asya_gateway.domain.identity.audit import NO_AUDIT, Audit, AuditEvent, done_by
from asya_gateway.domain.identity.principals import Asker, Caller, Principal
from asya_gateway.domain.identity.scopes import TaskVerb
from asya_gateway.domain.owners import OwnedBy, OwnerScope, owner_of
from asya_gateway.domain.ports import (
    Digester,
    Examiner,
    Filler,
    FlyBroadcast,
    Left,
    TaskStore,
    UpdateFeed,
    digested_here,
    examined_here,
    filled_here,
)
from asya_gateway.domain.reach import scope_of
from asya_gateway.domain.reading import TaskReading
from asya_gateway.domain.reporting import TaskReporting
from asya_gateway.domain.reports import FinalOutcome, FinalReport
from asya_gateway.domain.resource_changes import NoResourceChanges, ResourceChanges
from asya_gateway.domain.submitting import Submitting
from asya_gateway.domain.task import Task, TaskHead
from asya_gateway.domain.text import shortened
from asya_gateway.telemetry.context import about
from asya_gateway.telemetry.observer import SILENT, Observer


class Tasks(TaskReading, TaskReporting):
    """Everything that can be done to a task: what callers do is here, what anyone may read is in TaskReading, what
    actors do is in TaskReporting. Every method raises Unavailable while Postgres is away.

    `clock` tells the database's time, by which the deadlines in envelopes are computed, and whose credentials have
    ended. `check_flow` raises Denied for
    a caller that may not call the flow of this name as it is served now.
    """

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
        audit: Audit = NO_AUDIT,
        check_flow: Callable[[Caller, str], None] = lambda _caller, _flow: None,
        resources: ResourceChanges | None = None,
    ) -> None:
        TaskReading.__init__(self, store, feed)
        self.clock = clock
        self.resources = resources or NoResourceChanges()
        """Changes of the resources that flows offer."""
        TaskReporting.__init__(self, store, fly, compile_schema, observer.spans, self.resources)
        self._examine = examine
        self._digest = digest
        self._audit = audit
        self._check_flow = check_flow
        self._submitting = Submitting(store, rules, examine, digest, observer, clock, feed)
        self._answering = Answering(store, rules, compile_schema, examine, fill, observer.spans, clock)

    async def submit(self, call: Call, left: Left | None = None) -> str:
        """As `accept`; returns the task's id alone. If the caller leaves while the call is being stored, `left` is
        called with the id."""
        return (await self._submitting.accept(call, left)).task_id

    def accept(self, call: Call) -> Coroutine[Any, Any, Accepted]:
        """Accept a call and return its task: it is committed and will be delivered at least once. A call
        under a key that already names a task gets that task.

        Raises InvalidArguments, TooLarge, KeyReused, Conflict, TooManyTasks, TooManyRequests, Overloaded, Unavailable.
        Nothing is stored then, unless Unavailable is uncertain.
        """
        return self._submitting.accept(call)

    def check_backlog(self, call: Call) -> None:
        """Refuse what `accept` would refuse before it does anything, for a caller that has to do something first.
        Raises QueueFull."""
        self._submitting.check_backlog(call)

    async def earlier(self, caller: Caller, key: str | None, flow: str, payload: Any) -> str | None:
        """The task that was accepted under this key for a flow that is no longer served; None if there is none, or if
        the caller may no longer read tasks of this flow. Raises KeyReused."""
        if flow not in readable(caller):
            return None
        return await self._submitting.earlier(caller, key, flow, payload)

    async def violations(self, check: ArgumentCheck, value: Any) -> Sequence[Violation]:
        """Where a value breaks a schema, found without holding the event loop. Raises Overloaded."""
        violations, _ = await self._examine(check, value)
        return violations

    def digest(self, *parts: Any) -> Awaitable[bytes]:
        """SHA-256 over JSON values, found without holding the event loop. Raises Overloaded."""
        return self._digest(*parts)

    async def retriable(self, task_id: str, caller: Caller) -> Task:
        """A call's task that has ended. It may be run again by a Call with its id as `retry_of`. Raises TaskNotFound,
        Conflict."""
        task = await self.get(task_id, caller)
        if owner_of(caller) != OwnedBy(task.owner):
            # It would run as the caller's own, with what another has sent.
            raise Conflict("expected a task of your own; this one is of another caller", field="owner")
        if task.parent_id is not None:
            raise Conflict("expected the task of a call; this one is a child of another", field="parent_id")
        if not task.status.terminal:
            raise Conflict(f"expected a task that has ended; its status is {task.status}", field="status")
        return task

    async def cancel(
        self, task_id: str, caller: Asker, reason: str = "Task canceled", *, key: str | None = None
    ) -> TaskHead:
        """End an open task and its descendants. A reason that is too long is cut. A caller that lost the first answer
        and repeats the request under the same key gets the task. Raises TaskNotFound, Conflict, KeyReused."""
        about(task_id)
        owner = await self.may_cancel(task_id, caller)
        report = _cancellation(task_id, owner, shortened(reason))
        request = RequestKey("cancel", key or own_key(), await self._digest("cancel", reason))
        with self._spans.verb("cancel", task_id):
            outcome = await self._store.cancel(report, request)
        if outcome is FinalOutcome.APPLIED:
            self._audit.note(done_by(AuditEvent.TASK_CANCELED, caller, task_id))
            with after_a_write():
                return await self.head(task_id, caller)
        task = await self.head(task_id, caller)
        raise Conflict(f"expected a task that has not ended; its status is {task.status}", field="status")

    async def abandon(self, task_id: str, caller: Asker, reason: str) -> None:
        """End a task that its caller has left. A task that has already ended is not changed."""
        about(task_id)
        with self._spans.verb("cancel", task_id):
            await self._store.finish(_cancellation(task_id, owner_of(caller), reason))

    async def answer(
        self,
        task_id: str,
        caller: Asker,
        answer: Any,
        *,
        input_key: str | None = None,
        action: AnswerAction = AnswerAction.ACCEPT,
        pause_id: str | None = None,
        key: str | None = None,
        said: Any = None,
        surface: str = "rest",
        owner: OwnerScope | None = None,
    ) -> TaskHead:
        """Answer an input of the question that a task waits on, or decline it; without `input_key`, the only open one.
        The first answer to an input wins; with the last one the task is running before x-resume gets its message. After
        a decline the input stays open for other surfaces, unless the pause says otherwise. A caller that repeats the
        answer under the same key gets the task; the key is one of this input, or with `said` of the whole message that
        the answer is the last one of. `owner`: what `may_answer` has just said.

        Raises TaskNotFound, Denied, Conflict, InvalidInput, InvalidArguments, TooLarge, KeyReused."""
        about(task_id)
        request = None
        if key is not None and said is not None:
            request = await self.message_key(said, key)
        elif key is not None:
            plain = input_key is None and action is AnswerAction.ACCEPT
            digest = await self._digest("answer", answer, pause_id, *(() if plain else (input_key, action.value)))
            request = RequestKey("answer" if input_key is None else f"answer:{input_key}", key, digest)
        owner = owner or await self.may_answer(task_id, caller)
        given = Said(
            task_id=task_id,
            owner=owner,
            answer=answer,
            action=action,
            surface=surface,
            input_key=input_key,
            pause_id=pause_id,
            request=request,
        )
        if not await self._answering.answered(task_id, owner, request):
            try:
                await self._answering.give(given)
                self._audit.note(done_by(AuditEvent.TASK_ANSWERED, caller, task_id))
            except (Conflict, InvalidInput):
                # Two answers under the same key may have arrived at the same time.
                if not await self._answering.answered(task_id, owner, request):
                    raise
        with after_a_write():
            return await self.head(task_id, caller)

    async def may_cancel(self, task_id: str, caller: Asker) -> OwnerScope:
        """Whose task it may be for the caller to cancel it. Asked first by whoever does something before that. Raises
        TaskNotFound, Denied."""
        return await scope_of(self._store, task_id, caller, TaskVerb.CANCEL)

    def may_call(self, flow: str, caller: Caller) -> None:
        """Raises Denied if the flow of this name is served and the caller may not call it."""
        self._check_flow(caller, flow)

    async def may_answer(self, task_id: str, caller: Asker, *, known: TaskHead | None = None) -> OwnerScope:
        """Whose task it may be for the caller's answer. Asked first by whoever stores something before the answer.
        `known`: the task, if the caller has just read it. Raises TaskNotFound, Denied."""
        owner = await scope_of(self._store, task_id, caller, TaskVerb.ANSWER, known=known)
        if isinstance(caller, Principal) and isinstance(owner, OwnedBy):
            # An answer makes the flow go on, so it needs what a call of the flow needs.
            self._check_flow(caller, (known or await self.head(task_id, caller)).flow)
        return owner

    async def took(self, task: TaskHead, caller: Asker, said: Any, key: str) -> bool:
        """Whether this task, which the caller has just read, was answered by this message under the key, whatever has
        become of it since. Raises TaskNotFound, Denied, KeyReused."""
        owner = await scope_of(self._store, task.id, caller, TaskVerb.ANSWER, known=task)
        return await self._answering.answered(task.id, owner, await self.message_key(said, key))

    async def message_key(self, said: Any, key: str) -> RequestKey:
        """The key of a whole message that answers a task, or is told to it."""
        return RequestKey("message", key, await self._digest("message", said))


def _cancellation(task_id: str, owner: OwnerScope, reason: str) -> FinalReport:
    return FinalReport(
        task_id=task_id,
        status=TaskStatus.CANCELED,
        message=reason,
        error=TaskError("canceled", reason, ErrorClass.CANCELED),
        owner=owner,
    )

"""The answer to a waiting task's question: checked, put into the resume envelope, and stored."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from secrets import randbits
from typing import Any

from asya_crds.merging import CannotMerge
from asya_crds.naming import HEADER_RESUME_CHECKPOINT, RESUME
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_crds.violation import ArgumentCheck
from asya_gateway.domain.calls import TaskRules
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import Conflict, InvalidArguments, TaskNotFound
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.pausing import resume_envelope
from asya_gateway.domain.ports import Answer, Examiner, Filler, PausePoint, RequestKey, TaskStore
from asya_gateway.domain.reports import FinalReport
from asya_gateway.domain.task import Asker, JsonText, owner_of
from asya_gateway.telemetry.spans import Spans


class Answering:
    """Accepts answers. It has no state of its own: the store lets the first answer win."""

    def __init__(
        self,
        store: TaskStore,
        rules: TaskRules,
        compile_schema: Callable[[Mapping[str, Any]], ArgumentCheck],
        examine: Examiner,
        fill: Filler,
        spans: Spans,
        clock: Clock,
    ) -> None:
        self._store = store
        self._rules = rules
        self._compile_schema = compile_schema
        self._examine = examine
        self._fill = fill
        self._spans = spans
        self._now = clock

    async def answered(self, task_id: str, caller: Asker, request: RequestKey | None) -> bool:
        """Whether the task was answered under this key. Raises KeyReused."""
        return request is not None and await self._store.find_request(task_id, owner_of(caller), request)

    async def give(
        self, task_id: str, caller: Asker, answer: Any, pause_id: str | None, request: RequestKey | None
    ) -> None:
        """Resume the task with this answer. Raises TaskNotFound, Conflict, InvalidArguments, TooLarge."""
        point = await self._store.pause_point(task_id, owner=owner_of(caller))
        if point is None:
            raise TaskNotFound(task_id)
        pause = point.task.pause
        if pause is None or not point.task.status.waiting:
            raise Conflict(f"expected a task that waits for an answer; it is {point.task.status}", field="status")
        if pause_id is not None and pause_id != pause.id:
            raise Conflict("expected the pause that is open now", field="pause_id")
        violations, text = await self._examine(self._compile_schema(pause.schema), answer)
        if violations:
            raise InvalidArguments(violations, field="answer")
        with self._spans.verb("answer", task_id, point.task.flow):
            try:
                checkpoint, payload = await self._checkpoint(point, text)
            except CannotMerge as error:
                await self._store.finish(_cannot_resume(task_id, str(error)))
                return
            envelope = resume_envelope(point, self._rules.mesh_url, datetime.fromtimestamp(self._now(), UTC))
            envelope = envelope.with_(headers={**envelope.headers, **self._spans.outgoing()})
            body = envelope.to_json(payload, {HEADER_RESUME_CHECKPOINT: checkpoint} if checkpoint else {})
            self._rules.check_size(body, "answer")
            accepted = await self._store.answer(
                Answer(
                    task_id=point.task.id,
                    owner=owner_of(caller),
                    pause_id=pause.id,
                    answer=text,
                    actor=envelope.route.curr,
                    envelope=body,
                    key=randbits(63),
                    incarnation=point.incarnation,
                    request=request,
                )
            )
        if not accepted:
            raise Conflict("the task was answered or ended in the meantime", field="status")

    async def _checkpoint(self, point: PausePoint, answer: JsonText) -> tuple[JsonText | None, JsonText]:
        """The checkpoint and the payload of an answer's envelope. If the question names fields, the answer is already
        merged into the checkpoint's payload. Raises CannotMerge, Overloaded."""
        fields = [] if point.task.pause is None else point.task.pause.fields
        if point.checkpoint is None or not fields:
            return point.checkpoint, answer
        return await self._fill(point.checkpoint, answer, fields), "null"


def _cannot_resume(task_id: str, reason: str) -> FinalReport:
    error = TaskError("runtime_error", reason, ErrorClass.RUNTIME, actor=RESUME, details={"type": "CannotResume"})
    return FinalReport(task_id, TaskStatus.FAILED, reason, error=error, owner=EVERY_OWNER)

"""The answers to a waiting task's question: checked, stored and, with the last one, put into the resume envelope."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import randbits
from typing import Any

from asya_crds import jsontext
from asya_crds.answers import AnswerAction, OnDecline
from asya_crds.merging import CannotMerge
from asya_crds.naming import HEADER_RESUME_CHECKPOINT, RESUME
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_crds.violation import ArgumentCheck
from asya_gateway.domain.answers import Answer, Kept, PausePoint, RequestKey, Resumption
from asya_gateway.domain.calls import TaskRules
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import Conflict, InvalidArguments, TaskNotFound
from asya_gateway.domain.inputs import answer_schema, asked_by, places_of, result_of, stays_open, with_action
from asya_gateway.domain.owners import EVERY_OWNER, OwnerScope
from asya_gateway.domain.pause import Input, Pause
from asya_gateway.domain.pausing import resume_envelope
from asya_gateway.domain.ports import Examiner, Filler, TaskStore
from asya_gateway.domain.reports import FinalReport
from asya_gateway.domain.task import JsonText
from asya_gateway.telemetry.spans import Spans

DECLINED = "declined"
"""The code of the error with which a task ends because its question was declined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a caller says to a waiting task. `input_key` and `pause_id` are None if the caller does not name them."""

    task_id: str
    owner: OwnerScope
    answer: Any
    action: AnswerAction
    surface: str
    input_key: str | None = None
    pause_id: str | None = None
    request: RequestKey | None = None


class Answering:
    """Accepts answers. It has no state of its own: the store lets the first answer to each input win."""

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

    async def answered(self, task_id: str, owner: OwnerScope, request: RequestKey | None) -> bool:
        """Whether the task was answered under this key. Raises KeyReused."""
        return request is not None and await self._store.find_request(task_id, owner, request)

    async def give(self, said: Said) -> None:
        """Store the answer, and resume the task with the last one. Raises TaskNotFound, Conflict, InvalidInput,
        InvalidArguments, TooLarge."""
        point = await self._store.pause_point(said.task_id, owner=said.owner)
        if point is None:
            raise TaskNotFound(said.task_id)
        pause = point.task.pause
        if pause is None or not point.task.status.waiting:
            raise Conflict(
                f"expected a task that waits for an answer; its status is {point.task.status}", field="status"
            )
        if said.pause_id is not None and said.pause_id != pause.id:
            raise Conflict("expected the pause that is open now", field="pause_id")
        asked = asked_by(pause, said.input_key)
        with self._spans.verb("answer", said.task_id, point.task.flow):
            answer = await self._checked(said, pause, asked)
            if stays_open(pause, said.action):
                stored = await self._declined(answer, pause)
            elif len(pause.open) > 1:
                stored = await self._kept(said, answer, point)
            else:
                stored = await self._resumed(answer, point)
        if not stored:
            raise Conflict("the task was answered or ended in the meantime", field="status")

    async def _checked(self, said: Said, pause: Pause, asked: Input) -> Answer:
        """The answer as the store takes it. Only an accepted one has a value to be checked. Raises
        InvalidArguments."""
        value = "null"
        if said.action is AnswerAction.ACCEPT:
            violations, value = await self._examine(self._compile_schema(answer_schema(asked)), said.answer)
            if violations:
                raise InvalidArguments(violations, field="answer")
        if not pause.plain:
            value = result_of(asked, said.action, value)
        elif pause.on_decline is OnDecline.CONTINUE:
            _, value = await self._examine(None, with_action(pause, said.action, said.answer))
        return Answer(
            task_id=said.task_id,
            owner=said.owner,
            pause_id=pause.id,
            input_key=asked.key,
            action=said.action,
            surface=said.surface,
            key=randbits(63),
            value=None if stays_open(pause, said.action) else value,
            request=said.request,
        )

    async def _declined(self, answer: Answer, pause: Pause) -> bool:
        if answer.action is AnswerAction.CONSENT or pause.on_decline is not OnDecline.FAIL:
            return await self._store.set_aside(answer)
        return await self._store.fail_declined(answer, _failure_of(answer, pause))

    async def _kept(self, said: Said, answer: Answer, point: PausePoint) -> bool:
        # Refused now, rather than with the last answer, if the answers together would be too large.
        self._rules.check_size((point.checkpoint or "") + _by_key(point, answer), "answer")
        kept = await self._store.keep_answer(answer)
        if kept is Kept.LAST:
            # The others were answered meanwhile, and answers are never taken back.
            await self.give(replace(said, input_key=answer.input_key, pause_id=answer.pause_id))
            return True
        return kept is Kept.KEPT

    async def _resumed(self, answer: Answer, point: PausePoint) -> bool:
        try:
            checkpoint, payload = await self._checkpoint(answer, point)
        except CannotMerge as error:
            await self._store.finish(_cannot_resume(answer.task_id, str(error)))
            return True
        envelope = resume_envelope(point, self._rules.mesh_url, datetime.fromtimestamp(self._now(), UTC))
        envelope = envelope.with_(headers={**envelope.headers, **self._spans.outgoing()})
        body = envelope.to_json(payload, {HEADER_RESUME_CHECKPOINT: checkpoint} if checkpoint else {})
        self._rules.check_size(body, "answer")
        return await self._store.answer(answer, Resumption(envelope.route.curr, body, point.incarnation))

    async def _checkpoint(self, answer: Answer, point: PausePoint) -> tuple[JsonText | None, JsonText]:
        """The checkpoint and the payload of the resume envelope. If the answers have places in the payload, they are
        already merged into the checkpoint's. Raises CannotMerge, Overloaded."""
        pause = point.task.pause
        assert pause is not None
        assert answer.value is not None
        value = answer.value if pause.plain else _by_key(point, answer)
        places = places_of(pause, answer.action)
        if point.checkpoint is None or not places:
            return point.checkpoint, value
        return await self._fill(point.checkpoint, value, places), "null"


def _by_key(point: PausePoint, answer: Answer) -> JsonText:
    """The JSON object of all answers so far, in the order of the inputs."""
    assert point.task.pause is not None
    given = {**point.values, answer.input_key: answer.value}
    members = (f"{jsontext.quoted(key)}:{given[key]}" for key in point.task.pause.keys if key in given)
    return f"{{{','.join(members)}}}"


def _failure_of(answer: Answer, pause: Pause) -> FinalReport:
    what = "The question" if pause.plain else f"The input {answer.input_key}"
    was = "declined" if answer.action is AnswerAction.DECLINE else "canceled"
    message = f"{what} was {was}"
    details = {"pause_id": pause.id, "key": answer.input_key, "action": answer.action.value}
    return FinalReport(
        answer.task_id,
        TaskStatus.FAILED,
        message,
        error=TaskError(DECLINED, message, ErrorClass.BUSINESS, details=details),
        owner=answer.owner,
        only_pause=pause.id,
    )


def _cannot_resume(task_id: str, reason: str) -> FinalReport:
    error = TaskError("runtime_error", reason, ErrorClass.RUNTIME, actor=RESUME, details={"type": "CannotResume"})
    return FinalReport(task_id, TaskStatus.FAILED, reason, error=error, owner=EVERY_OWNER)

"""Answers to the inputs of a pause, as the store takes them. Plain data, already checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from asya_crds.answers import AnswerAction
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.task import JsonText, TaskHead


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A caller's key for an action on one task; `action` is cancel, answer, answer:<key of an
    input>, or message."""

    action: str
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller says to one input of a pause. `value` is what the actor gets for it, as JSON; None with a decline
    after which the input stays open. `key` is random: the store recognises its own answer by it after a lost
    connection. `request` is the caller's key."""

    task_id: str
    owner: OwnerScope
    pause_id: str
    input_key: str
    action: AnswerAction
    surface: str
    key: int
    value: JsonText | None = None
    request: RequestKey | None = None


@dataclass(frozen=True, slots=True)
class Resumption:
    """How a task goes on after its last answer: the envelope that carries the answers to `actor`. The deadline resumes
    with the time that was left, by the database's clock. `incarnation` is the number of this pause, from 1."""

    actor: str
    envelope: JsonText
    incarnation: int = 1


class Kept(StrEnum):
    """What became of an answer after which the task still waits."""

    KEPT = "kept"
    TOO_LATE = "too_late"
    """The input was answered, or the pause has ended."""
    LAST = "last"
    """No other input is open, so the task must be resumed with it. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class PausePoint:
    """The data for the resume envelope: the task with its open pause and the checkpoint. `incarnation` is the one that
    the answer will begin. `reported_as` is the id under which the pause was reported: the task's own, or a resume
    envelope's. `values`: what the actor gets for the inputs that were answered, by key."""

    task: TaskHead
    checkpoint: JsonText | None
    incarnation: int
    reported_as: str
    values: Mapping[str, JsonText] = field(default_factory=dict)

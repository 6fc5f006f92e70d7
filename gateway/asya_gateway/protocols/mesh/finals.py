"""Decoding final reports: how a task ends."""

import re
from typing import Any

from asya_crds.large_json import encode
from asya_crds.mesh_messages import FINAL_STATUSES, FinalMessage
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.identity.principals import MESH
from asya_gateway.domain.owners import owner_of
from asya_gateway.domain.reports import COMPLETED_MESSAGE, FinalReport
from asya_gateway.protocols.http.fields import Body
from asya_gateway.protocols.http.messages import read
from asya_gateway.protocols.mesh.hops import check_same_id, task_id_of

ENDS = FINAL_STATUSES
_CODES = {
    ErrorClass.BUSINESS: "actor_error",
    ErrorClass.RUNTIME: "runtime_error",
    ErrorClass.CANCELED: "canceled",
    ErrorClass.DEADLINE: "deadline_exceeded",
}
_BARE_WORDS = ("processing_error", "runtime_error", "msg_parsing_error")
"""Errors that runtimes and workers write if the details contain the actual message."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DEADLINE_TEXT = "SLA deadline expired"
"""The error that existing sidecars report for an envelope past its deadline."""


def decode_final(reported: str, body: Body, *, ends: tuple[TaskStatus, ...] = ENDS) -> FinalReport:
    """{id?, status, result?, error?, error_details?, current_actor_name?, attempts?, class?, metadata?, message?}.

    Raises InvalidInput naming the field.
    """
    check_same_id(body, reported)
    said = read(FinalMessage, body)
    status = _status(said.status, ends)
    succeeded = status is TaskStatus.SUCCEEDED
    # A success may also have an error's fields. They are checked in the same way, but only a failure keeps them.
    error = None if succeeded else _error(said, status)
    fallback = COMPLETED_MESSAGE if error is None else error.message
    return FinalReport(
        task_id=task_id_of(reported),
        status=status,
        message=said.message or fallback,
        result=encode(body["result"]) if succeeded and "result" in body else None,
        error=error,
        actor=said.current_actor_name,
        metadata=said.metadata,
        owner=owner_of(MESH),
    )


def _status(value: Any, ends: tuple[TaskStatus, ...]) -> TaskStatus:
    if isinstance(value, str) and value in ends:
        return TaskStatus(value)
    raise InvalidInput(f"expected {' or '.join(ends)}", field="status")


def _error(said: FinalMessage, status: TaskStatus) -> TaskError:
    details, text = said.error_details, said.error
    if isinstance(text, dict):
        # Newer sidecars send status.error, which older ones call error_details.
        details = text if details is None else details
        text = _text(details, "message")
    # If there are details, the sidecar's error is a bare word that only says where it failed.
    own = None if text in _BARE_WORDS else text
    message = own or _text(details, "message") or text or f"Task {status}"
    error_class = said.error_class or _class(status, message, details)
    return TaskError(
        code=_code(details) or _CODES[error_class],
        message=message,
        error_class=error_class,
        actor=said.current_actor_name,
        attempts=said.attempts,
        details=details,
    )


def _class(status: TaskStatus, message: str, details: dict[str, Any] | None) -> ErrorClass:
    """The class in the details; otherwise business for the actor's own exception, else runtime."""
    named = _text(details, "class")
    if named in set(ErrorClass):
        return ErrorClass(named)
    if status is TaskStatus.CANCELED:
        return ErrorClass.CANCELED
    if message == _DEADLINE_TEXT:
        return ErrorClass.DEADLINE
    return ErrorClass.RUNTIME if details is None else ErrorClass.BUSINESS


def _code(details: dict[str, Any] | None) -> str | None:
    """The code that the actor gave its error, if it is a word."""
    code = _text(details, "code")
    return code if code is not None and _WORD.fullmatch(code) else None


def _text(details: dict[str, Any] | None, key: str) -> str | None:
    value = None if details is None else details.get(key)
    return value if isinstance(value, str) else None

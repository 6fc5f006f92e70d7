"""Decoding final reports: how a task ends."""

from typing import Any

from asya_crds.large_json import encode
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.reports import FinalReport
from asya_gateway.domain.status import ErrorClass, TaskError, TaskStatus
from asya_gateway.protocols.http.fields import (
    Body,
    optional_identifier,
    optional_integer,
    optional_object,
    optional_text,
)
from asya_gateway.protocols.http.rendering import COMPLETED_MESSAGE
from asya_gateway.protocols.mesh.hops import check_same_id

ENDS = (TaskStatus.SUCCEEDED, TaskStatus.FAILED)
_CODES = {
    ErrorClass.BUSINESS: "actor_error",
    ErrorClass.RUNTIME: "runtime_error",
    ErrorClass.CANCELED: "canceled",
    ErrorClass.DEADLINE: "deadline_exceeded",
}
_DEADLINE_TEXT = "SLA deadline expired"
"""What existing sidecars report of an envelope past its deadline."""


def decode_final(task_id: str, body: Body, *, ends: tuple[TaskStatus, ...] = ENDS) -> FinalReport:
    """{id?, status, result?, error?, error_details?, current_actor_name?, attempts?, class?, metadata?, message?}.

    Raises InvalidInput naming the field.
    """
    check_same_id(body, task_id)
    status = _status(body.get("status"), ends)
    succeeded = status is TaskStatus.SUCCEEDED
    # A success may carry these fields, too; they are checked alike, and only a failure keeps them.
    described = _error(body, status)
    error = None if succeeded else described
    fallback = COMPLETED_MESSAGE if error is None else error.message
    return FinalReport(
        task_id=task_id,
        status=status,
        message=optional_text(body, "message") or fallback,
        result=encode(body["result"]) if succeeded and "result" in body else None,
        error=error,
        actor=optional_identifier(body, "current_actor_name"),
        metadata=optional_object(body, "metadata"),
    )


def _status(value: Any, ends: tuple[TaskStatus, ...]) -> TaskStatus:
    if isinstance(value, str) and value in ends:
        return TaskStatus(value)
    raise InvalidInput(f"expected {' or '.join(ends)}", field="status")


def _error(body: Body, status: TaskStatus) -> TaskError:
    details = optional_object(body, "error_details")
    error = body.get("error")
    if isinstance(error, dict):
        # Newer sidecars send their status.error, which is what older ones call error_details.
        details = error if details is None else details
        error = details.get("message")
    if error is not None and not isinstance(error, str):
        raise InvalidInput("expected a string, or an object {message, type, mro, traceback}", field="error")
    message = error or _text(details, "message") or f"Task {status}"
    error_class = _class(body, status, message, details)
    return TaskError(
        code=_CODES[error_class],
        message=message,
        error_class=error_class,
        actor=optional_identifier(body, "current_actor_name"),
        attempts=optional_integer(body, "attempts"),
        details=details,
    )


def _class(body: Body, status: TaskStatus, message: str, details: dict[str, Any] | None) -> ErrorClass:
    """The given class; else the actor's own exception is business, and what it could not say itself is runtime."""
    if body.get("class") is not None:
        try:
            return ErrorClass(body["class"])
        except ValueError:
            raise InvalidInput(f"expected one of {', '.join(ErrorClass)}", field="class") from None
    if status is TaskStatus.CANCELED:
        return ErrorClass.CANCELED
    if message == _DEADLINE_TEXT:
        return ErrorClass.DEADLINE
    return ErrorClass.RUNTIME if details is None else ErrorClass.BUSINESS


def _text(details: dict[str, Any] | None, key: str) -> str | None:
    value = None if details is None else details.get(key)
    return value if isinstance(value, str) else None

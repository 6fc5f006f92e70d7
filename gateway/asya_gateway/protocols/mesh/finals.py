"""Decoding final reports: how a task ends."""

import re
from typing import Any

from asya_crds.large_json import encode
from asya_crds.status import ErrorClass, TaskError, TaskStatus
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.reports import FinalReport
from asya_gateway.protocols.http.fields import (
    Body,
    optional_identifier,
    optional_integer,
    optional_object,
    optional_text,
)
from asya_gateway.protocols.http.rendering import COMPLETED_MESSAGE
from asya_gateway.protocols.mesh.hops import check_same_id, task_id_of

ENDS = (TaskStatus.SUCCEEDED, TaskStatus.FAILED)
_CODES = {
    ErrorClass.BUSINESS: "actor_error",
    ErrorClass.RUNTIME: "runtime_error",
    ErrorClass.CANCELED: "canceled",
    ErrorClass.DEADLINE: "deadline_exceeded",
}
_BARE_WORDS = ("processing_error", "runtime_error", "msg_parsing_error")
"""What runtimes and workers write as the error of a payload whose details say more."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DEADLINE_TEXT = "SLA deadline expired"
"""What existing sidecars report of an envelope past its deadline."""


def decode_final(reported: str, body: Body, *, ends: tuple[TaskStatus, ...] = ENDS) -> FinalReport:
    """{id?, status, result?, error?, error_details?, current_actor_name?, attempts?, class?, metadata?, message?}.

    Raises InvalidInput naming the field.
    """
    check_same_id(body, reported)
    status = _status(body.get("status"), ends)
    succeeded = status is TaskStatus.SUCCEEDED
    # A success may carry these fields, too; they are checked alike, and only a failure keeps them.
    described = _error(body, status)
    error = None if succeeded else described
    fallback = COMPLETED_MESSAGE if error is None else error.message
    return FinalReport(
        task_id=task_id_of(reported),
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
    # Where there are details the sidecar's error is a bare word, which says only where it went wrong.
    said = None if error in _BARE_WORDS else error
    message = said or _text(details, "message") or error or f"Task {status}"
    error_class = _class(body, status, message, details)
    return TaskError(
        code=_code(details) or _CODES[error_class],
        message=message,
        error_class=error_class,
        actor=optional_identifier(body, "current_actor_name"),
        attempts=optional_integer(body, "attempts"),
        details=details,
    )


def _class(body: Body, status: TaskStatus, message: str, details: dict[str, Any] | None) -> ErrorClass:
    """The given class; else the actor's own exception is business, and what it could not say itself is runtime."""
    said = _text(details, "class")
    if body.get("class") is None and said in set(ErrorClass):
        return ErrorClass(said)
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


def _code(details: dict[str, Any] | None) -> str | None:
    """The code that the actor gave its error, where it is a word."""
    code = _text(details, "code")
    return code if code is not None and _WORD.fullmatch(code) else None


def _text(details: dict[str, Any] | None, key: str) -> str | None:
    value = None if details is None else details.get(key)
    return value if isinstance(value, str) else None

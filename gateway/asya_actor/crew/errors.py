"""The error in a failed envelope, in any of the forms of workers and sidecars."""

from collections.abc import Mapping
from typing import Any

from asya_actor.failures import Failure
from asya_crds.envelope import Envelope

_RUNTIME_REASONS = {"Timeout", "ParseError", "RouteMismatch", "WorkerDied"}
_RUNTIME_TYPES = {"Unroutable", "MessageRefused", "TooLarge", "DeliveryFailed", "BadPause"}
_CLASSES = {"business", "runtime", "deadline", "canceled"}
_DEADLINE_TEXTS = {"SLA deadline expired", "SLA expired"}


def failure_of(envelope: Envelope) -> Failure:
    """`status.error` {message, type, mro, traceback, class?, code?}; older ones: {error, details} in the payload.

    The class is the envelope's if it has one; otherwise business if the actor raised, else runtime.
    """
    payload = envelope.payload if isinstance(envelope.payload, Mapping) else {}
    error = _first_object(envelope.status.get("error"), payload.get("details"), payload.get("error"))
    message = _first_text(error.get("message"), envelope.status.get("error"), payload.get("error"))
    kind = _first_text(error.get("type")) or ""
    mro = error.get("mro")
    return Failure(
        message=message or "the actor failed without a reason",
        type=kind,
        mro=tuple(name for name in mro if isinstance(name, str)) if isinstance(mro, list) else (),
        traceback=_first_text(error.get("traceback")) or "",
        error_class=_class_of(envelope, error, kind, message or ""),
        code=_first_text(error.get("code")),
    )


def _class_of(envelope: Envelope, error: Mapping[str, Any], kind: str, message: str) -> str:
    given = error.get("class")
    if isinstance(given, str) and given in _CLASSES:
        return given
    if message in _DEADLINE_TEXTS:
        return "deadline"
    reason = envelope.status.get("reason")
    if (isinstance(reason, str) and reason in _RUNTIME_REASONS) or kind in _RUNTIME_TYPES:
        return "runtime"
    # An exception of the handler has a type; a sidecar's own error (a timeout, a crash) has none.
    return "business" if kind else "runtime"


def _first_object(*values: Any) -> Mapping[str, Any]:
    return next((value for value in values if isinstance(value, Mapping)), {})


def _first_text(*values: Any) -> str | None:
    return next((value for value in values if isinstance(value, str) and value), None)

"""The identifiers in a request's log lines (task, flow, trace), and where the request came from. Standard library only,
because the domain uses them."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Ids:
    """The identifiers of the current work; each is None if unknown."""

    task_id: str | None = None
    flow: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    source: str = ""
    """The address that the request came from, for the audit; log lines do not have it."""


_CURRENT: ContextVar[Ids | None] = ContextVar("asya_ids", default=None)


def current() -> Ids | None:
    """The identifiers of the current work."""
    return _CURRENT.get()


def begin(traceparent: str | None = None, source: str = "") -> Ids:
    """Reset the identifiers and take the trace of a valid `traceparent` (W3C Trace Context, 3.2).

    Every request does this, because all requests of one connection share a context.
    """
    ids = Ids(source=source)
    if traceparent is not None:
        _, ids.trace_id, ids.span_id, *_rest = traceparent.split("-")
    _CURRENT.set(ids)
    return ids


def current_source() -> str:
    """The address that the current request came from; "" outside of requests."""
    ids = _CURRENT.get()
    return "" if ids is None else ids.source


def about(task_id: str | None = None, flow: str | None = None) -> None:
    """Set the task and flow of the current work. None leaves a value unchanged."""
    ids = _CURRENT.get() or begin()
    if task_id is not None:
        ids.task_id = task_id
    if flow is not None:
        ids.flow = flow

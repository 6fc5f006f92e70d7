"""The identifiers in a request's log lines: task, flow, trace. Standard library only, because the domain sets them."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Ids:
    """The identifiers of the current work; each is None if unknown."""

    task_id: str | None = None
    flow: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


_CURRENT: ContextVar[Ids | None] = ContextVar("asya_ids", default=None)


def current() -> Ids | None:
    """The identifiers of the current work."""
    return _CURRENT.get()


def begin(traceparent: str | None = None) -> Ids:
    """Reset the identifiers and take the trace of a valid `traceparent` (W3C Trace Context, 3.2).

    Every request does this, because all requests of one connection share a context.
    """
    ids = Ids()
    if traceparent is not None:
        _, ids.trace_id, ids.span_id, *_rest = traceparent.split("-")
    _CURRENT.set(ids)
    return ids


def about(task_id: str | None = None, flow: str | None = None) -> None:
    """Set the task and flow of the current work. None leaves a value unchanged."""
    ids = _CURRENT.get() or begin()
    if task_id is not None:
        ids.task_id = task_id
    if flow is not None:
        ids.flow = flow

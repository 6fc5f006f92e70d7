"""What is told of an error: {message, type, mro, traceback}, as existing runtimes tell it."""

import traceback
from dataclasses import dataclass
from typing import Any

LONGEST_MESSAGE = 8_000
LONGEST_TRACEBACK = 32_000
"""Characters; the end of a traceback is what matters, so its beginning is cut."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as data. `type` and `mro` are dotted names, of built-in classes the bare name; `mro` has the base
    classes in order, without the class itself and `object`. `error_class` is business, runtime or deadline."""

    message: str
    type: str
    mro: tuple[str, ...] = ()
    traceback: str = ""
    error_class: str = "business"

    def as_dict(self) -> dict[str, Any]:
        """The wire form, `status.error`; `class` is ours, others pass it by."""
        return {
            "message": self.message,
            "type": self.type,
            "mro": list(self.mro),
            "traceback": self.traceback,
            "class": self.error_class,
        }


def describe(error: BaseException, *, error_class: str = "business") -> Failure:
    """What the handler raised, as data; an exception whose text cannot be had is described by its type."""
    cls = type(error)
    try:
        message = str(error) or cls.__name__
    except Exception:  # noqa: BLE001 # the user's __str__ may raise anything
        message = cls.__name__
    text = "".join(traceback.format_exception(error))
    return Failure(
        message=message[:LONGEST_MESSAGE],
        type=full_name(cls),
        mro=tuple(full_name(base) for base in cls.__mro__[1:] if base is not object),
        traceback=text[-LONGEST_TRACEBACK:],
        error_class=error_class,
    )


def full_name(cls: type) -> str:
    """`package.module.Class`; of a built-in class `Class`."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


TIMEOUT_MRO = ("OSError", "Exception", "BaseException")


def timed_out(actor: str, seconds: float) -> Failure:
    """The handler took longer than it may; rules match it as the built-in TimeoutError."""
    message = f"{actor} did not end within {seconds:g} s"
    return Failure(message=message, type="TimeoutError", mro=TIMEOUT_MRO, error_class="runtime")


def overdue(actor: str, *, started: bool) -> Failure:
    """The task's deadline has passed. Never retried."""
    when = f"while {actor} was working" if started else f"before {actor} began"
    return Failure(message=f"the task's deadline passed {when}", type="DeadlineExceeded", error_class="deadline")


def broken(kind: str, message: str) -> Failure:
    """Something other than the handler went wrong: ParseError, RouteMismatch, Unroutable, TooLarge, WorkerDied."""
    return Failure(message=message, type=kind, error_class="runtime")

"""The description of an error: {message, type, mro, traceback}, in the form of existing runtimes."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LONGEST_MESSAGE = 8_000
LONGEST_TRACEBACK = 32_000
"""Most characters of a traceback. Its end is the important part, so the beginning is cut."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as data. `type` and `mro` are dotted names, or the bare name of a built-in class. `mro` has the base
    classes in order, without the class itself and `object`. `error_class` is business, runtime or deadline. `code` is
    the code from a third-party actor, or that of a failure outside the handler, if it has one."""

    message: str
    type: str
    mro: tuple[str, ...] = ()
    traceback: str = ""
    error_class: str = "business"
    code: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The wire form, `status.error`. The member `class` is our own; other programs ignore it."""
        code = {} if self.code is None else {"code": self.code}
        return {
            "message": self.message,
            "type": self.type,
            "mro": list(self.mro),
            "traceback": self.traceback,
            "class": self.error_class,
            **code,
        }


def describe(error: BaseException, *, error_class: str = "business") -> Failure:
    """The handler's exception as data. Never raises: parts of the exception that cannot be read are left out, and one
    without a message is described by its type."""
    cls = type(error)
    return Failure(
        message=text_of(error)[:LONGEST_MESSAGE],
        type=full_name(cls),
        mro=tuple(full_name(base) for base in _of_type(cls, "__mro__")[1:] if base is not object),
        traceback=_or(lambda: "".join(traceback.format_exception(error)), "")[-LONGEST_TRACEBACK:],
        error_class=error_class,
    )


def text_of(error: BaseException) -> str:
    """The exception's message; its class name if it has none, or if reading it raises."""
    return _or(lambda: str(error), "") or str(_of_type(type(error), "__name__"))


def full_name(cls: type) -> str:
    """`package.module.Class`; `Class` for a built-in class."""
    module = _or(lambda: cls.__module__, "")
    name = str(_of_type(cls, "__qualname__"))
    return name if module in ("builtins", "") else f"{module}.{name}"


def _of_type(cls: type, attribute: str) -> Any:
    """A class attribute read past the metaclass."""
    return type.__dict__[attribute].__get__(cls)


def _or(ask: Callable[[], object], otherwise: str) -> str:
    """The result as plain text; `otherwise` if the user's code raises or does not return text."""
    try:
        answer = ask()
    except BaseException:  # noqa: BLE001 # SystemExit and CancelledError too: a description is no place for them
        return otherwise
    return str.__str__(answer) if isinstance(answer, str) else otherwise


TIMEOUT_MRO = ("OSError", "Exception", "BaseException")


def timed_out(actor: str, seconds: float) -> Failure:
    """The handler exceeded its timeout. Rules match it as the built-in TimeoutError."""
    message = f"{actor} did not end within {seconds:g} s"
    return Failure(message=message, type="TimeoutError", mro=TIMEOUT_MRO, error_class="runtime")


def overdue(actor: str, *, started: bool) -> Failure:
    """The task's deadline has passed. Never retried."""
    when = f"while {actor} was working" if started else f"before {actor} began"
    return Failure(message=f"the task's deadline passed {when}", type="DeadlineExceeded", error_class="deadline")


def broken(kind: str, message: str, code: str | None = None) -> Failure:
    """A failure outside the handler: ParseError, RouteMismatch, WorkerDied, or the kind of a TransportError."""
    return Failure(message=message, type=kind, error_class="runtime", code=code)

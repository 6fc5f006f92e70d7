"""How a command may end: one readable line and an exit code."""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asya_crds.listening import CannotListen


class ExitCode(IntEnum):
    """Exit codes of every command (docs/cli.md)."""

    OK = 0
    FAILED = 1
    """The task failed, or the gateway refused the request."""
    USAGE = 2
    """The command line or the settings are invalid; nothing was done."""
    UNREACHABLE = 3
    """No gateway answered."""
    WAITING = 4
    """The task waits for an answer."""


class CliError(Exception):
    """Ends the command; the user sees only the text."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class UsageProblem(CliError):
    """The command line or a setting is invalid."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.USAGE)


def cannot_listen(problem: "CannotListen") -> CliError:
    """The error of a program that cannot listen: a failure if the port is in use, a usage problem if a value is
    wrong."""
    return CliError(str(problem), ExitCode.USAGE if problem.wrong_value else ExitCode.FAILED)

"""What the errors of the Pub/Sub client mean for us."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import grpc.aio
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from asya_transports.port import TransportUnavailable


class Missing(TransportUnavailable):
    """The topic or the subscription does not exist."""


class Exists(TransportUnavailable):
    """The topic or the subscription exists already."""


class Invalid(TransportUnavailable):
    """The service does not accept this request as it is."""


class RequestDenied(TransportUnavailable):
    """The service answers, and does not allow this request: permissions, quotas, or the state of the project or the
    topic (a disabled API, a disabled key), which no message is to blame for."""


class NothingYet(TransportUnavailable):
    """The call's time is over: for a pull, nothing came in it."""


_MEANINGS: tuple[tuple[type[Exception], type[TransportUnavailable]], ...] = (
    (exceptions.NotFound, Missing),
    (exceptions.AlreadyExists, Exists),
    (exceptions.DeadlineExceeded, NothingYet),
    (exceptions.PermissionDenied, RequestDenied),
    (exceptions.Unauthenticated, RequestDenied),
    (exceptions.ResourceExhausted, RequestDenied),
    (exceptions.InvalidArgument, Invalid),
    (exceptions.FailedPrecondition, RequestDenied),
    (exceptions.OutOfRange, Invalid),
)


@contextmanager
def service_errors() -> Iterator[None]:
    """Raise the client's errors as TransportUnavailable, the known ones as one of the classes above."""
    try:
        yield
    except (exceptions.GoogleAPIError, GoogleAuthError, grpc.RpcError, grpc.aio.UsageError) as error:
        raise meaning(error) from error


def meaning(error: Exception) -> TransportUnavailable:
    """The same error as one of ours."""
    for theirs, ours in _MEANINGS:
        if isinstance(error, theirs):
            return ours(_text(error))
    if isinstance(error, GoogleAuthError):
        return TransportUnavailable(f"no credentials for Pub/Sub: {_text(error)}")
    return TransportUnavailable(f"Pub/Sub is not available: {_text(error)}")


def _text(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return str(text)[:500]

"""What the errors of the Pub/Sub client mean: those of IAM, quotas and credentials come from no stand-in."""

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError

from asya_transports.port import TransportUnavailable
from asya_transports.pubsub.errors import Exists, Invalid, Missing, NothingYet, RequestDenied, service_errors


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (exceptions.NotFound("no topic"), Missing),
        (exceptions.AlreadyExists("topic"), Exists),
        (exceptions.DeadlineExceeded("late"), NothingYet),
        (exceptions.PermissionDenied("pubsub.topics.publish"), RequestDenied),
        (exceptions.Unauthenticated("token"), RequestDenied),
        (exceptions.ResourceExhausted("quota"), RequestDenied),
        (exceptions.InvalidArgument("size"), Invalid),
        (exceptions.FailedPrecondition("state"), RequestDenied),
        (exceptions.ServiceUnavailable("away"), TransportUnavailable),
        (exceptions.InternalServerError("broken"), TransportUnavailable),
        (exceptions.Aborted("again"), TransportUnavailable),
        (exceptions.Cancelled("gone"), TransportUnavailable),
        (DefaultCredentialsError("nothing found"), TransportUnavailable),
        (RefreshError("refused"), TransportUnavailable),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else type(each).__name__,
)
def test_each_error_of_the_client_is_one_of_ours_with_its_text(
    theirs: Exception, ours: type[TransportUnavailable]
) -> None:
    with pytest.raises(TransportUnavailable) as raised, service_errors():
        raise theirs
    assert type(raised.value) is ours
    assert str(theirs).split(" ", 1)[-1] in str(raised.value)


def test_other_errors_are_not_touched() -> None:
    with pytest.raises(ZeroDivisionError), service_errors():
        raise ZeroDivisionError

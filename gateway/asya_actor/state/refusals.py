"""Maps a connector's response, or a missing one, to the error of a file operation."""

import errno
import http.client

from asya_actor.state.mounts import MountedPath
from asya_crds import jsontext

_LARGEST_MESSAGE = 64 * 1024

_ERRNO = {
    400: errno.EINVAL,
    401: errno.EACCES,
    403: errno.EACCES,
    404: errno.ENOENT,
    405: errno.ENOTSUP,
    409: errno.EEXIST,
    412: errno.EEXIST,
    413: errno.EFBIG,
    501: errno.ENOTSUP,
    507: errno.ENOSPC,
}


def refusal(place: MountedPath, answer: http.client.HTTPResponse) -> OSError:
    """The error of a file operation for a response of 400 or more.

    Errors that file systems do not have become EIO. Of these, 503 becomes a ConnectionError and 504 a TimeoutError, as
    in existing runtimes, so that resiliency rules match.
    """
    said = _message(answer)
    match answer.status:
        case http.client.SERVICE_UNAVAILABLE:
            return ConnectionError(errno.EIO, said, place.path)
        case http.client.GATEWAY_TIMEOUT:
            return TimeoutError(errno.EIO, said, place.path)
        case status:
            return OSError(_ERRNO.get(status, errno.EIO), said, place.path)


def unreachable(place: MountedPath, error: Exception) -> OSError:
    """The error if no response came. A missing socket must not look like a missing file."""
    said = f"the connector of {place.mount.name}: {str(error) or type(error).__name__}"
    if isinstance(error, TimeoutError):
        return TimeoutError(errno.EIO, said, place.path)
    return ConnectionError(errno.EIO, said, place.path)


def _message(answer: http.client.HTTPResponse) -> str:
    """The text of `{"error", "message"?}`, as connectors send it, or the status."""
    plain = f"the connector responded {answer.status} {answer.reason}"
    try:
        value = jsontext.loads(answer.read(_LARGEST_MESSAGE))
    except (OSError, http.client.HTTPException, jsontext.InvalidJSON):
        return plain
    said = value.get("message") or value.get("error") if isinstance(value, dict) else None
    return said if isinstance(said, str) else plain

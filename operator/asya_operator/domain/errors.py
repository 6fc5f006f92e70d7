"""Errors of outside systems, and whether retrying helps."""


class OutsideError(Exception):
    """Base of all errors from cluster, mesh and queue system. The text is shown to users."""


class Unreachable(OutsideError):
    """The system cannot be reached or refuses for now. The same call may succeed later."""


class Busy(Unreachable):
    """The API server asks to retry soon (429). It did nothing."""


class ApiForbidden(OutsideError):
    """The API server denies our ServiceAccount the request (403). The text says which verb on which resource."""


class KindMissing(OutsideError):
    """The API server does not know the kind: its CustomResourceDefinition is not installed."""


class Vanished(OutsideError):
    """The object no longer exists."""


class Conflicting(OutsideError):
    """Another writer changed the object after it was read (409)."""


class RequestRefused(OutsideError):
    """The API server or mesh refuses the content. Retrying does not help."""


class Superseded(Exception):
    """A newer leader has announced itself, or the lease is lost: this process must no longer write."""

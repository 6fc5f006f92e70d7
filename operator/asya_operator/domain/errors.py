"""What can go wrong outside, and whether trying again helps."""


class OutsideError(Exception):
    """Root of everything that cluster, mesh and queue system may answer; the text is shown to people."""


class Unreachable(OutsideError):
    """It cannot be reached or refuses for now; the same call may go through later."""


class Busy(Unreachable):
    """The API server asks to be asked again in a moment (429): it did nothing."""


class Denied(OutsideError):
    """The API server forbids this to our ServiceAccount (403); the text says which verb on which resource."""


class KindMissing(OutsideError):
    """The API server does not know the kind: its CustomResourceDefinition is not installed."""


class Vanished(OutsideError):
    """The object is gone."""


class Conflicting(OutsideError):
    """Somebody else wrote the object since it was read (409)."""


class RequestRefused(OutsideError):
    """The API server or mesh will not take this as it is; trying again is no help."""


class Superseded(Exception):
    """A newer leader has announced itself, or the lease is lost: this process must not write any more."""

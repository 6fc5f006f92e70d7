"""Makes the failure of a hop's envelope that cannot be sent, as the worker that sent it would have."""

from asya_crds import failed_envelope
from asya_crds.offloading import Offload
from asya_gateway.domain.ports import OutboxEntry
from asya_transports.port import MessageRefused, TransportError, Unroutable

MADE_HERE = 1024 * 1024
"""The failure of a larger envelope is made in the other process."""


def fails(entry: OutboxEntry, error: TransportError) -> bool:
    """Whether the envelope fails with this error, instead of being sent again. One of a call never does: its task ends,
    or it waits."""
    if entry.sump is None:
        return False
    return isinstance(error, MessageRefused) or (isinstance(error, Unroutable) and entry.overdue)


async def failure_of(entry: OutboxEntry, error: TransportError, offload: Offload) -> OutboxEntry:
    """The failure, to be sent to the sump in the envelope's place. If the envelope is a failure itself, it goes without
    its payload, and after that no more. Raises ValueError if it is not an envelope, OffloadFailed."""
    assert entry.sump is not None
    again = entry.actor == entry.sump
    name = "slim_text" if again else "undeliverable"
    more = () if again else (error.kind, entry.actor, str(error), error.code)
    if len(entry.body) <= MADE_HERE:
        text = getattr(failed_envelope, name)(entry.body, *more)
    else:
        text = await offload.insist(f"{failed_envelope.__name__}:{name}", entry.body, *more)
    sump = None if again else entry.sump
    return entry._replace(actor=entry.sump, body=text.encode(), sump=sump, overdue=False)

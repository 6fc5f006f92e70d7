"""Where the changes of tasks are delivered, and how a delivery ends. The log of a task is the outbox: a destination
keeps the number of the last entry that it has got."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from asya_gateway.domain.task import TaskUpdate

MOST_PER_TASK = 10
MOST_PER_OWNER = 1_000
"""Most destinations of an owner that still wait for something."""

NO_LIVE_KEY = "its credentials cannot be read: they were sealed with a key that is no longer known"
REVOKED = "the credential that registered it was revoked"


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that gets the changes of one task over one channel. `name` is its id within both. `options` is what the
    channel keeps beside it, `sealed` its secrets. `disabled_reason` says why nothing is delivered any more."""

    task_id: str
    channel: str
    name: str
    owner: str
    url: str
    host: str
    options: Mapping[str, Any]
    sealed: str | None = None
    revocables: frozenset[str] = frozenset()
    disabled_reason: str | None = None


class Put(Enum):
    """How storing a destination ended."""

    STORED = auto()
    NO_TASK = auto()
    """The owner has no such task."""
    TASK_FULL = auto()
    """The task has MOST_PER_TASK others."""
    OWNER_FULL = auto()
    """The owner has MOST_PER_OWNER others that wait for something."""


class Destinations(Protocol):
    """The store, for owners. Every method raises Unavailable."""

    async def put(self, destination: Destination) -> Put:
        """Store a destination, or replace the one of the same name, which is then enabled again and goes on where it
        was. A new one gets what happens from now on, and of a task that has ended its end."""

    def begun(self, task_id: str) -> None:
        """A task was stored together with its destination (NewTask), which gets everything. Says so to whoever
        delivers."""

    async def find(self, task_id: str, channel: str, owner: str, name: str) -> Destination | None:
        """The owner's destination of this name."""

    async def page(self, task_id: str, channel: str, owner: str, after: str, most: int) -> Sequence[Destination]:
        """The owner's destinations of a task beyond this name, by name."""

    async def remove(self, task_id: str, channel: str, owner: str, name: str) -> None:
        """Remove one if it exists."""

    async def disable_of(self, subjects: Collection[str]) -> None:
        """Disable what callers registered whose credentials were revoked."""


@dataclass(frozen=True, slots=True)
class Lagging:
    """A destination that a process has leased, because its task's log has entries beyond `delivered_seq`. `lease` names
    this lease and no other, not even a later one of the same process. `status` is the task's at that entry, "" before
    the first. `failing` is for how many seconds every delivery has failed."""

    destination: Destination
    lease: str
    delivered_seq: int
    status: str
    attempts: int = 0
    failing: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it among all."""
        at = self.destination
        return (at.task_id, at.channel, at.name)


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """How far a leased destination has come. `lease` is Lagging's. `wait` is for how many seconds nothing is to be
    delivered; `release` gives it back."""

    key: tuple[str, str, str]
    lease: str
    delivered_seq: int
    status: str
    attempts: int = 0
    wait: float = 0.0
    disabled_reason: str | None = None
    done: bool = False
    release: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryCapacity:
    """What a process delivers now: deliveries that each of these hosts and owners may still get besides."""

    hosts: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, int] = field(default_factory=dict)

    def after(self, leased: Iterable[Destination], per_host: int, per_owner: int) -> "DeliveryCapacity":
        """When these were leased, too. `per_host` and `per_owner` are what those may get that are not named here."""
        hosts, owners = dict(self.hosts), dict(self.owners)
        for at in leased:
            hosts[at.host] = hosts.get(at.host, per_host) - 1
            owners[at.owner] = owners.get(at.owner, per_owner) - 1
        return DeliveryCapacity(hosts, owners)


@dataclass(frozen=True, slots=True)
class LogPage:
    """New entries of a log with their bytes, and whether there may be more."""

    updates: Sequence[TaskUpdate]
    bytes: int = 0
    more: bool = False


class DeliveryQueue(Protocol):
    """What lags, for the host that delivers it. Every method raises Unavailable."""

    async def lease(self, task_ids: Iterable[str] | None, busy: DeliveryCapacity, most: int) -> Sequence[Lagging]:
        """Lease what lags of these tasks: no more than `most`, and than `busy` and the limits leave for each host and
        owner. Nobody else gets it while the lease lasts. With None, of all: among a bounded number, behind those of the
        call before."""

    async def settle(self, settled: DeliveryProgress) -> bool:
        """Record how far a leased destination has come, which renews the lease unless it is released. False if this
        lease has been followed by another one, or the destination was removed or replaced; then nothing is recorded."""

    async def pages(self, cursors: Sequence[tuple[str, int]]) -> Sequence[LogPage]:
        """The entries of these tasks' logs beyond these numbers."""

    async def give_back(self, held: Iterable[Lagging]) -> None:
        """End these leases, so that another process may have them."""

    async def stop(self, held: Iterable[Lagging]) -> None:
        """Complete what is being recorded, and end these leases."""

    async def revoked(self, subjects: Collection[str]) -> bool:
        """Whether the store knows that one of these was revoked, or has ended."""

    async def lag(self) -> tuple[int, float]:
        """How many destinations lag, and the age in seconds of the oldest entry that one of them lacks. Of many, both
        are of a moment ago."""

    async def start(self, look: Callable[[Iterable[str] | None], None]) -> None:
        """Have `look` called with the tasks whose logs have grown and that have destinations, and with None when
        anything may have been missed."""


class HostSays(Enum):
    """What a delivery tells of the host that it was for."""

    UNASKED = auto()
    """It was not asked: what went wrong is not its fault."""
    SOMETHING = auto()
    """It answers."""
    NOTHING = auto()
    """It does not answer, or only that it cannot take anything now."""


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """How a delivery ended. `problem` is None after a success, else it says what was wrong, for the owner to read.
    `permanent`: no repetition helps. `wait` is how many seconds the receiver asked to be left alone."""

    problem: str | None = None
    permanent: bool = False
    wait: float = 0.0
    host: HostSays = HostSays.UNASKED


DELIVERED = DeliveryOutcome(host=HostSays.SOMETHING)


class Channel(Protocol):
    """One way to deliver. It renders an entry of a log, sends it once, and says how that ended."""

    @property
    def name(self) -> str:
        """The name in destinations."""

    def wants(self, update: TaskUpdate, before: str) -> bool:
        """Whether this entry is delivered. `before` is the status at the entry before it."""

    async def deliver(self, destination: Destination, update: TaskUpdate) -> DeliveryOutcome:
        """Deliver an entry. Raises Unavailable if the gateway itself cannot do it now."""

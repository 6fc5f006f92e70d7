"""What the domain needs from outside; the cluster package keeps these promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from asya_operator.domain.programming import Accepted, MeshState
from asya_operator.domain.registry import RegistryDocument
from asya_operator.domain.views import Body


class Kind(StrEnum):
    """The kinds that are watched, by the names of their collections."""

    CONFIGMAPS = "configmaps"
    FLOWS = "flows"
    ACTORS = "asyncactors"
    DEPLOYMENTS = "deployments"
    SCALED_OBJECTS = "scaledobjects"


@dataclass(frozen=True, slots=True)
class Listing:
    """Every object of a kind as of a resourceVersion."""

    bodies: Sequence[Body]
    version: int


@dataclass(frozen=True, slots=True)
class Notice:
    """An Event to post about an object. `reason` is one CamelCase word."""

    about: Body
    warning: bool
    reason: str
    message: str
    action: str = "Reconcile"


class Cluster(Protocol):
    """The Kubernetes API, one namespace of it. Every method raises the errors of errors.py."""

    async def list(self, kind: Kind) -> Listing:
        """Every object of the kind (of ConfigMaps only gateway-flows). Raises KindMissing, Denied, Unavailable."""

    async def patch_status(self, kind: Kind, body: Body, status: Mapping[str, Any]) -> Body:
        """Merge into the status, provided that nobody wrote the object since. Raises Conflicting, Vanished."""

    async def annotate(self, kind: Kind, body: Body, annotations: Mapping[str, str]) -> Body:
        """Set annotations. Raises Vanished."""

    async def apply(self, document: Mapping[str, Any], *, manager: str | None = None) -> Body:
        """Server-side apply under our field manager (or the one named), taking the fields over by force."""

    async def get(self, document: Mapping[str, Any]) -> Body | None:
        """The object of this kind and name as it is; None where there is none."""

    async def delete(self, document: Mapping[str, Any], *, owner_uid: str) -> None:
        """Delete the object if it belongs to this owner; one that does not exist is no error."""

    async def post(self, notice: Notice) -> None:
        """Post an Event; errors are only logged, since nothing depends on it."""


class ActorCluster(Cluster, Protocol):
    """What running actors needs beside."""

    async def flavors(self) -> Sequence[Body]:
        """Every EnvironmentConfig that is a flavor. Raises KindMissing, Denied, Unavailable."""

    async def pods_of(self, actor: str) -> Sequence[Body]:
        """The pods of an actor as they are now."""


class Mesh(Protocol):
    """The mesh Service of the gateway. Every method raises Unavailable, and Superseded for an older epoch."""

    async def announce(self, holder: str) -> int:
        """A new leader: the epoch that fences everyone before it."""

    async def push(self, epoch: int, document: RegistryDocument) -> Accepted:
        """Hand over the document. Raises Refused where mesh cannot read it."""

    async def heartbeat(self, epoch: int) -> None:
        """Say that a leader is there, so that gateways leave their mounted files alone."""

    async def state(self, generation: int | None, wait: float) -> MeshState:
        """The newest generation and the live pods that serve callers. Answers once every one of them serves
        `generation`, at the latest after `wait` seconds."""


class Queues(Protocol):
    """The queue system, as far as an operator needs it."""

    async def declare(self, actor: str, *, foreign: bool) -> None:
        """Make the actor's queue exist. Raises Unavailable."""

    async def delete(self, actor: str) -> None:
        """Remove the actor's queue with what is in it."""

    def identifier(self, actor: str) -> str:
        """How people and consoles call the actor's queue."""

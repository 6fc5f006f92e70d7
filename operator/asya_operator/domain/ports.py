"""The domain's interfaces to the outside. The cluster package implements them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from asya_operator.domain.programming import MeshState, PushResult
from asya_operator.domain.registry import RegistryDocument
from asya_operator.domain.views import Body


class WatchedKind(StrEnum):
    """The watched kinds, by the plural names of their collections."""

    CONFIGMAPS = "configmaps"
    FLOWS = "flows"
    ACTORS = "asyncactors"
    DEPLOYMENTS = "deployments"
    SCALED_OBJECTS = "scaledobjects"


@dataclass(frozen=True, slots=True)
class ObjectList:
    """Every object of a kind at a resourceVersion."""

    bodies: Sequence[Body]
    version: int


@dataclass(frozen=True, slots=True)
class KubernetesEvent:
    """An Event to post about an object. `reason` is one CamelCase word."""

    about: Body
    warning: bool
    reason: str
    message: str
    action: str = "Reconcile"


class Cluster(Protocol):
    """One namespace of the Kubernetes API. Every method raises the errors of errors.py."""

    async def list(self, kind: WatchedKind) -> ObjectList:
        """Every object of the kind (of ConfigMaps only gateway-flows). Raises KindMissing, Denied, Unavailable."""

    async def patch_status(self, kind: WatchedKind, body: Body, status: Mapping[str, Any]) -> Body:
        """Merge into the status if the object has not changed since it was read. Raises Conflicting, Vanished."""

    async def annotate(self, kind: WatchedKind, body: Body, annotations: Mapping[str, str]) -> Body:
        """Set annotations. Raises Vanished."""

    async def apply(self, document: Mapping[str, Any], *, manager: str | None = None) -> Body:
        """Server-side apply under our field manager (or the named one), with force: conflicting fields are taken
        over."""

    async def get(self, document: Mapping[str, Any]) -> Body | None:
        """The live object of this kind and name; None if there is none."""

    async def delete(self, document: Mapping[str, Any], *, owner_uid: str) -> None:
        """Delete the object if it belongs to this owner. A missing object is not an error."""

    async def post(self, notice: KubernetesEvent) -> None:
        """Post an Event. Errors are only logged, because nothing depends on Events."""


class ActorCluster(Cluster, Protocol):
    """What running actors needs in addition."""

    async def flavors(self) -> Sequence[Body]:
        """Every EnvironmentConfig that is a flavor. Raises KindMissing, Denied, Unavailable."""

    async def pods_of(self, actor: str) -> Sequence[Body]:
        """The current pods of an actor."""


class Mesh(Protocol):
    """The mesh Service of the gateway. Every method raises Unavailable, and Superseded for an older epoch."""

    async def announce(self, holder: str) -> int:
        """Announce a new leader; returns the epoch that fences all earlier ones."""

    async def push(self, epoch: int, document: RegistryDocument) -> PushResult:
        """Push the document. Raises RequestRefused if mesh cannot read it."""

    async def heartbeat(self, epoch: int) -> None:
        """Report that there is a leader, so that gateways do not read their mounted files."""

    async def state(self, generation: int | None, wait: float) -> MeshState:
        """The newest generation and the live pods that serve callers. Returns once all of them serve `generation`, at
        the latest after `wait` seconds."""


class Queues(Protocol):
    """The queue system, as far as an operator needs it."""

    async def declare(self, actor: str, *, foreign: bool) -> None:
        """Create the actor's queue if it does not exist. Raises Unavailable."""

    async def delete(self, actor: str) -> None:
        """Delete the actor's queue and its messages."""

    def identifier(self, actor: str) -> str:
        """The name of the actor's queue, as shown to users."""

    def address(self, actor: str) -> str:
        """The URL of the actor's queue, if the queue system has such and the queue was declared; else its name."""

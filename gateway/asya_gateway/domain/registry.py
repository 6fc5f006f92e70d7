"""The registry of exposed flows, a row shared by all pods: who may change it, and which pods already serve it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from asya_crds.flow_problem import FlowProblem
from asya_crds.registry_document import ConfigMapPart, RegistryPush
from asya_crds.registry_messages import KeptFlow
from asya_gateway.domain.task import JsonText

OPERATOR_PATIENCE = 30.0
"""Seconds after its last heartbeat in which the operator still owns the registry, and mounted files are ignored."""
POD_PATIENCE = 10.0
"""Seconds after its last heartbeat in which a pod counts as alive."""
BEAT = 2.0
"""Seconds between two heartbeats of a pod. A heartbeat also shows it a generation whose notification it missed."""
REMEMBERED_HASHES = 50

SERVING_MODES = ("api", "testing")
"""Modes of pods that callers reach. A flow is programmed once all of these serve it. Pods in mode mesh serve no
flows."""


class FileVerdict(StrEnum):
    """The verdict on a mounted file that a pod offers."""

    SAME = "same"
    """The row already has this text."""
    TAKEN = "taken"
    """The row takes this text over."""
    OPERATOR = "operator"
    """The operator is alive and reads the ConfigMap itself."""
    SUPERSEDED = "superseded"
    """An older text, from a mount that lags behind."""


def judge_file(
    file_hash: str,
    *,
    former: str | None,
    current: str | None,
    superseded: Collection[str],
    operator_age: float | None,
) -> FileVerdict:
    """Whether a mounted file is taken over, judged by the row's state. `former` is the hash of the text that this pod
    saw it replace, None if the pod has seen no change.

    A text that the row never had is new. A text that it had before comes from a lagging mount or from a deliberate
    rollback. Only a pod that saw the row's current text change into it knows that it is a rollback.
    """
    if file_hash == current:
        return FileVerdict.SAME
    if operator_age is not None and operator_age < OPERATOR_PATIENCE:
        return FileVerdict.OPERATOR
    if file_hash in superseded and (former is None or former != current):
        return FileVerdict.SUPERSEDED
    return FileVerdict.TAKEN


def supersede(superseded: Sequence[str], replaced: str | None) -> list[str]:
    """The hashes of earlier texts after `replaced` was superseded: the newest last, at most 50."""
    if replaced is None:
        return list(superseded)
    return [*(each for each in superseded if each != replaced), replaced][-REMEMBERED_HASHES:]


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """The row. `configmap` and `resources` are JSON of {flows: [Entry], problems: [FlowProblem], sets?: [FlowSet]};
    `operator_age` is the seconds since the operator's last heartbeat by the database's clock, None if there was
    none."""

    generation: int
    epoch: int
    configmap_hash: str | None
    superseded: tuple[str, ...]
    configmap: JsonText
    resources: JsonText
    operator_age: float | None
    changed_at: datetime
    """When the generation was made, by the database's clock."""


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod and the generation it serves; `heartbeat_age` in seconds by the database's clock."""

    name: str
    mode: str
    generation: int
    heartbeat_age: float


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The registry's generation and epoch, and the live pods."""

    generation: int
    epoch: int
    flows: int
    operator_age: float | None
    pods: tuple[PodState, ...]

    def served_everywhere(self, generation: int) -> bool:
        """Whether there is at least one live serving pod and all of them serve this generation or a later one."""
        serving = [pod for pod in self.pods if pod.mode in SERVING_MODES]
        return bool(serving) and all(pod.generation >= generation for pod in serving)


@dataclass(frozen=True, slots=True)
class OfferResult:
    """The result of offering a mounted file; `current` is the hash that the row had before."""

    verdict: FileVerdict
    current: str | None


@dataclass(frozen=True, slots=True)
class Pushed:
    """The result of a push, from the store."""

    generation: int
    changed: bool


@dataclass(frozen=True, slots=True)
class PushReport:
    """The answer to a push, with every flow that is not served and why, and those kept from the row."""

    generation: int
    changed: bool
    flows: int
    problems: tuple[FlowProblem, ...]
    kept: tuple[KeptFlow, ...] = ()


class RegistryNotification(StrEnum):
    """What one pod tells the others about the registry's row."""

    CHANGED = "changed"
    """The row has another generation."""
    RELOAD = "reload"
    """Every pod must read its mounted file again."""
    SERVED = "served"
    """A pod serves another generation, or has left."""


class RegistryStore(Protocol):
    """The row and the pods in Postgres. Every method raises Unavailable while the database is away."""

    async def read(self) -> RegistryRow:
        """The whole row."""

    async def announce(self, leader: str) -> int:
        """A new epoch for an operator that begins to lead. Pushes with older epochs are refused from now on."""

    async def push(self, push: RegistryPush) -> Pushed:
        """Replace the parts contained in the push. Raises Conflict for an epoch that is not the newest."""

    async def heartbeat(self, epoch: int) -> int:
        """Record the operator's heartbeat; returns the generation. Raises Conflict like push."""

    async def offer_file(self, part: ConfigMapPart, former: str | None) -> OfferResult:
        """Compare and set: replace the ConfigMap's part if judge_file says so."""

    async def beat(self, pod: str, mode: str, generation: int, *, is_open: bool) -> int:
        """Record a pod's heartbeat, the generation it serves, and whether it admits callers without credentials;
        returns the row's generation."""

    async def leave(self, pod: str) -> None:
        """Record that the pod has ended."""

    async def state(self) -> RegistryState:
        """The generation, the epoch and the live pods."""

    async def ring(self, news: RegistryNotification) -> None:
        """Notify every process. Unlike other notifications it raises Unavailable, because a caller asked for it."""

    def listen(self, heard: Callable[[RegistryNotification], None]) -> Callable[[], None]:
        """Call `heard` for each notification (after a reconnect, anything may have changed); the returned function
        unsubscribes it."""


class RegistryControl(Protocol):
    """The registry's operations for the mesh routes."""

    async def announce(self, leader: str) -> int:
        """A new epoch for an operator that becomes the leader."""

    async def push(self, push: RegistryPush) -> PushReport:
        """Replace parts of the registry and say which flows cannot be served."""

    async def heartbeat(self, epoch: int) -> int:
        """Store the operator's heartbeat; returns the generation. Raises Conflict like push."""

    async def reload(self) -> None:
        """Have every api pod read its mounted file at once."""

    async def served(self, generation: int | None, wait: float) -> RegistryState:
        """Wait until every live serving pod serves the generation (None: the row's), at most `wait` seconds; returns
        the state."""

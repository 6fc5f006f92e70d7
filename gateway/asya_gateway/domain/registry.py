"""What is exposed, as one row that all pods share: who may change it, and which pods serve it already."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from asya_crds.flow_problem import FlowProblem
from asya_crds.registry_document import ConfigMapPart, RegistryPush
from asya_gateway.domain.task import JsonText

OPERATOR_PATIENCE = 30.0
"""Seconds after its last heartbeat in which the operator still owns the registry, and mounted files are ignored."""
POD_PATIENCE = 10.0
"""Seconds after its last heartbeat in which a pod counts as alive."""
BEAT = 2.0
"""Seconds between two heartbeats of a pod, which also bring it a generation whose bell it missed."""
REMEMBERED_HASHES = 50

SERVING_MODES = ("api", "testing")
"""Modes of pods that callers reach: a flow is programmed once all of these serve it. Mesh pods serve no flow."""


class FileVerdict(StrEnum):
    """What becomes of a mounted file that a pod offers."""

    SAME = "same"
    """It is what the row holds."""
    TAKEN = "taken"
    """The row holds it from now on."""
    OPERATOR = "operator"
    """The operator is alive and reads the ConfigMap itself."""
    SUPERSEDED = "superseded"
    """An older text, which a lagging mount still shows."""


def judge_file(
    file_hash: str,
    *,
    former: str | None,
    current: str | None,
    superseded: Collection[str],
    operator_age: float | None,
) -> FileVerdict:
    """Whether a mounted file counts (TAKEN), by the row's state; `former` is the text that this pod watched it
    replace, None where the pod has seen no change.

    A text that the row never held is new. One that it held before is either a lagging mount or a deliberate step
    back; only a pod that saw the row's own text change into it knows that it is the latter.
    """
    if file_hash == current:
        return FileVerdict.SAME
    if operator_age is not None and operator_age < OPERATOR_PATIENCE:
        return FileVerdict.OPERATOR
    if file_hash in superseded and (former is None or former != current):
        return FileVerdict.SUPERSEDED
    return FileVerdict.TAKEN


def supersede(superseded: Sequence[str], replaced: str | None) -> list[str]:
    """The remembered hashes after `replaced` went out of force: the newest last, at most 50."""
    if replaced is None:
        return list(superseded)
    return [*(each for each in superseded if each != replaced), replaced][-REMEMBERED_HASHES:]


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """The row. `configmap` and `resources` are JSON of {flows: [Entry], problems: [FlowProblem]}; `operator_age` is
    the seconds since the operator's last sign of life by the database's clock, None where there was none."""

    generation: int
    epoch: int
    configmap_hash: str | None
    superseded: tuple[str, ...]
    configmap: JsonText
    resources: JsonText
    operator_age: float | None


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod and what it serves; `heartbeat_age` in seconds by the database's clock."""

    name: str
    mode: str
    generation: int
    heartbeat_age: float


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The registry's heading and the live pods."""

    generation: int
    epoch: int
    flows: int
    operator_age: float | None
    pods: tuple[PodState, ...]

    def served_everywhere(self, generation: int) -> bool:
        """Whether there is a live serving pod and each of them serves this generation or a later one."""
        serving = [pod for pod in self.pods if pod.mode in SERVING_MODES]
        return bool(serving) and all(pod.generation >= generation for pod in serving)


@dataclass(frozen=True, slots=True)
class Offer:
    """What became of a mounted file; `current` is the hash that the row held before."""

    verdict: FileVerdict
    current: str | None


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push."""

    generation: int
    changed: bool


@dataclass(frozen=True, slots=True)
class KeptFlow:
    """A flow of a source that the push could not read: what the row held of it stays in force."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class PushReport:
    """The answer to a push, with every flow that is not served and why, and those that only the row knows."""

    generation: int
    changed: bool
    flows: int
    problems: tuple[FlowProblem, ...]
    kept: tuple[KeptFlow, ...] = ()


class News(StrEnum):
    """What the registry's bell says."""

    CHANGED = "changed"
    """The row has another generation."""
    RELOAD = "reload"
    """Somebody asked every pod to read its mounted file again."""
    SERVED = "served"
    """A pod serves another generation than before, or left."""


class RegistryStore(Protocol):
    """The row and the pods in Postgres. Every method raises Unavailable while the database is away."""

    async def read(self) -> RegistryRow:
        """The whole row."""

    async def announce(self, leader: str) -> int:
        """A new epoch for an operator that begins to lead; pushes of older ones are refused from now on."""

    async def push(self, push: RegistryPush) -> Pushed:
        """Replace the parts that the push has. Raises Conflict for an epoch that is not the newest."""

    async def heartbeat(self, epoch: int) -> int:
        """The operator is alive; returns the generation. Raises Conflict as push does."""

    async def offer_file(self, part: ConfigMapPart, former: str | None) -> Offer:
        """Compare and set: replace the ConfigMap's part where judge_file lets this text count."""

    async def beat(self, pod: str, mode: str, generation: int) -> int:
        """The pod is alive and serves this generation; returns the row's."""

    async def leave(self, pod: str) -> None:
        """The pod ends."""

    async def state(self) -> RegistryState:
        """The heading and the live pods."""

    async def ring(self, news: News) -> None:
        """Tell every process; raises Unavailable, since somebody asked for it."""

    def listen(self, heard: Callable[[News], None]) -> Callable[[], None]:
        """Hear news from now on (after a reconnect everything may be new); the returned function ends that."""


class RegistryControl(Protocol):
    """The registry's verbs, as the mesh routes call them."""

    async def announce(self, leader: str) -> int:
        """A new epoch for an operator that becomes the leader."""

    async def push(self, push: RegistryPush) -> PushReport:
        """Replace parts of the registry and say which flows cannot be served."""

    async def heartbeat(self, epoch: int) -> int:
        """Store the operator's heartbeat; returns the generation. Raises Conflict as push does."""

    async def reload(self) -> None:
        """Have every api pod read its mounted file at once."""

    async def served(self, generation: int | None, wait: float) -> RegistryState:
        """The state once every live serving pod serves the generation (None: the row's), at the latest after
        `wait` seconds."""

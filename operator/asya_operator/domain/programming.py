"""Whether what was accepted is being served: the condition Programmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asya_crds.flow import Flow
from asya_crds.flow_problem import FlowProblem
from asya_operator.domain.conditions import Condition, ConditionStatus


@dataclass(frozen=True, slots=True)
class Pod:
    """A live gateway pod and the generation that it serves."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class MeshState:
    """What mesh says: the newest generation and the pods with a young heartbeat."""

    generation: int
    pods: tuple[Pod, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The pods by name."""
        return frozenset(pod.name for pod in self.pods)

    def served_everywhere(self, generation: int) -> bool:
        """Whether there is a pod and each one serves this generation or a later one."""
        return bool(self.pods) and all(pod.generation >= generation for pod in self.pods)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Mesh's answer to a push: the generation that carries it, by key of the ConfigMap the names that stay in force
    although the key cannot be read, and which flows gateways do not serve, and why."""

    generation: int
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[FlowProblem, ...] = ()


@dataclass(slots=True)
class Ledger:
    """Which generation first carried each flow as it is now, so that another flow's change takes nobody back."""

    _carried: dict[str, tuple[Flow, int]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Flows that mesh took and gateways do not serve, with the reason."""

    def pushed(self, served: Mapping[str, Flow], generation: int, left_out: Mapping[str, str] | None = None) -> None:
        """Mesh accepted these flows under this generation."""
        self.left_out = left_out or {}
        before, self._carried = self._carried, {}
        for name, flow in served.items():
            known = before.get(name)
            unchanged = known is not None and known[1] <= generation and (known[0] is flow or known[0] == flow)
            self._carried[name] = known if known is not None and unchanged else (flow, generation)

    def since(self, flow: Flow) -> int | None:
        """The generation that first carried the flow as it is now; None where none does yet."""
        known = self._carried.get(flow.name)
        return known[1] if known is not None and (known[0] is flow or known[0] == flow) else None


def programmed(flow: Flow | None, ledger: Ledger, mesh: MeshState | None, trouble: str | None) -> Condition:
    """The condition of one flow; `flow` None where it was not accepted, `trouble` why mesh took no push."""
    if flow is None:
        return _no("NotAccepted", "Not served, because it is not accepted.")
    since = ledger.since(flow)
    if since is None:
        if trouble:
            return _no("PushFailed", f"The gateway has not accepted it yet: {trouble}")
        return _no("Pending", "Not pushed to the gateway yet.")
    if reason := ledger.left_out.get(flow.name):
        return _no("LeftOut", f"Gateways do not serve it: {reason}")
    if mesh is None:
        return Condition(
            "Programmed", ConditionStatus.UNKNOWN, "GatewayUnreachable", "The mesh Service does not respond."
        )
    if not mesh.pods:
        return _no("NoGatewayPods", "No gateway pod is running.")
    behind = sorted(pod.name for pod in mesh.pods if pod.generation < since)
    if behind:
        return _no("Pending", _waiting(behind, len(mesh.pods)))
    return Condition("Programmed", ConditionStatus.TRUE, "Programmed", "Every gateway pod serves it.")


def _no(reason: str, message: str) -> Condition:
    return Condition("Programmed", ConditionStatus.FALSE, reason, message)


def _waiting(behind: Sequence[str], total: int) -> str:
    shown = ", ".join(behind[:5]) + (f" and {len(behind) - 5} more" if len(behind) > 5 else "")
    return f"Served by {total - len(behind)} of {total} gateway pods; waiting for {shown}."

"""Whether an accepted flow is being served: the condition Programmed."""

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
    """Mesh's state: the newest generation and the pods with a recent heartbeat."""

    generation: int
    pods: tuple[Pod, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The pods by name."""
        return frozenset(pod.name for pod in self.pods)

    def served_everywhere(self, generation: int) -> bool:
        """Whether there is at least one pod and all pods serve this generation or a later one."""
        return bool(self.pods) and all(pod.generation >= generation for pod in self.pods)


@dataclass(frozen=True, slots=True)
class PushResult:
    """Mesh's answer to a push: the generation that contains it; for each unreadable key of the ConfigMap, the names
    that stay in force; and the flows that gateways do not serve, with the reason."""

    generation: int
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[FlowProblem, ...] = ()


@dataclass(slots=True)
class Ledger:
    """The generation that first contained each flow in its current form. So the change of one flow does not make the
    others count as unserved."""

    _carried: dict[str, tuple[Flow, int]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Flows that mesh accepted but gateways do not serve, with the reason."""

    def pushed(self, served: Mapping[str, Flow], generation: int, left_out: Mapping[str, str] | None = None) -> None:
        """Mesh accepted these flows under this generation."""
        self.left_out = left_out or {}
        before, self._carried = self._carried, {}
        for name, flow in served.items():
            known = before.get(name)
            unchanged = known is not None and known[1] <= generation and (known[0] is flow or known[0] == flow)
            self._carried[name] = known if known is not None and unchanged else (flow, generation)

    def since(self, flow: Flow) -> int | None:
        """The generation that first contained the flow in its current form; None if there is none yet."""
        known = self._carried.get(flow.name)
        return known[1] if known is not None and (known[0] is flow or known[0] == flow) else None


def programmed(flow: Flow | None, ledger: Ledger, mesh: MeshState | None, trouble: str | None) -> Condition:
    """The condition of one flow. `flow` is None if it was not accepted; `trouble` says why mesh accepted no push."""
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

"""The operator's Prometheus metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from asya_operator.domain.programming import MeshState
from asya_operator.domain.registry import ComputedRegistry

SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class OperatorMetrics:
    """Implements reconcilers/registry_pusher.Watchers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        here = self.registry
        self.leading = Gauge("asya_operator_leading", "1 in the leading process.", registry=here)
        self.reconciles = Counter(
            "asya_operator_reconciles", "Computations and repairs.", ["of", "outcome"], registry=here
        )
        self.compute_seconds = Histogram(
            "asya_operator_compute_seconds", "Time to compute the registry.", buckets=SECONDS, registry=here
        )
        self.push_seconds = Histogram(
            "asya_operator_push_seconds", "Time until mesh accepted a push.", buckets=SECONDS, registry=here
        )
        self.pushes = Counter("asya_operator_pushes", "Pushes by outcome.", ["outcome"], registry=here)
        self.flows = Gauge("asya_operator_flows", "Flows, served and not served.", ["served"], registry=here)
        self.generation = Gauge(
            "asya_operator_registry_generation", "Generation accepted most recently.", registry=here
        )
        self.pod_generation = Gauge(
            "asya_operator_pod_generation", "Generation that each live gateway pod serves.", ["pod"], registry=here
        )
        self.mesh_up = Gauge("asya_operator_mesh_up", "1 while mesh responds.", registry=here)
        self.status_writes = Counter("asya_operator_status_writes", "Statuses written.", ["of"], registry=here)
        self.denied = Gauge("asya_operator_denied", "1 if RBAC denies the request.", ["resource"], registry=here)

    def computed(self, outcome: ComputedRegistry, seconds: float) -> None:
        self.reconciles.labels("registry", "ok").inc()
        self.compute_seconds.observe(seconds)
        verdicts = [*outcome.resources.values(), *(item.verdict for item in outcome.entries)]
        served = sum(1 for verdict in verdicts if verdict.served)
        self.flows.labels("true").set(served)
        self.flows.labels("false").set(len(verdicts) - served)

    def pushed(self, seconds: float, generation: int) -> None:
        self.pushes.labels("accepted").inc()
        self.push_seconds.observe(seconds)
        self.generation.set(generation)

    def push_failed(self) -> None:
        self.pushes.labels("failed").inc()

    def followed(self, state: MeshState | None) -> None:
        self.mesh_up.set(0 if state is None else 1)
        self.pod_generation.clear()
        for pod in state.pods if state else ():
            self.pod_generation.labels(pod.name).set(pod.generation)

    def wrote(self, of: str) -> None:
        """Count a written status or report."""
        self.status_writes.labels(of).inc()

    def reconciled(self, outcome: str) -> None:
        """Count a reconciled actor."""
        self.reconciles.labels("actor", outcome).inc()

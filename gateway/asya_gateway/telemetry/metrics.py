"""Counters and histograms of what happens, in a registry of their own, with one lookup a count."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from typing_extensions import override

from asya_gateway.telemetry.labels import Bounded
from asya_gateway.telemetry.observer import FAN_OUT, Observer
from asya_gateway.telemetry.spans import Spans

MAX_FLOWS = 200
"""Flows with series of their own; actors called by name through /api/v1/mesh count as flows, too."""
MAX_SURFACES = 16
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds for what a caller waits for, in seconds."""
LONG = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0)
"""Bounds for how long a task lives, in seconds."""


class Metrics(Observer):
    """Counts what it is told. Children of a label set are looked up once and kept."""

    def __init__(self, spans: Spans | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        if spans is not None:
            self.spans = spans
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._accepted_total = Counter(
            "asya_tasks_accepted", "Calls accepted and committed.", ["flow", "surface"], registry=self.registry
        )
        self._ended_total = Counter(
            "asya_tasks_ended", "Tasks ended.", ["flow", "surface", "status"], registry=self.registry
        )
        self._accept_seconds = Histogram(
            "asya_task_accept_seconds",
            "Time from a call's decoding to its commit.",
            ["surface"],
            buckets=QUICK,
            registry=self.registry,
        )
        self._task_seconds = Histogram(
            "asya_task_seconds", "Time from acceptance to end.", ["flow"], buckets=LONG, registry=self.registry
        )
        self._requests_total = Counter(
            "asya_http_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self._request_seconds = Histogram(
            "asya_http_request_seconds",
            "Time to answer a request, streams left out.",
            ["route", "method"],
            buckets=QUICK,
            registry=self.registry,
        )
        self._flow, self._surface = Bounded(MAX_FLOWS), Bounded(MAX_SURFACES)
        self._accepted: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def info(self, about: Mapping[str, str]) -> None:
        """What kind of process this is, as labels of a metric that is always 1."""
        Gauge("asya_build_info", "What runs here.", list(about), registry=self.registry).labels(**about).set(1)

    @override
    def accepted(self, flow: str, surface: str, took: float) -> None:
        """See Observer."""
        key = self._flow(flow), self._surface(surface)
        found = self._accepted.get(key)
        if found is None:
            found = self._accepted_total.labels(*key), self._accept_seconds.labels(key[1])
            self._accepted[key] = found
        found[0].inc()
        found[1].observe(took)

    @override
    def ended(self, flow: str, surface: str, status: str, took: float) -> None:
        """See Observer. The clocks of two pods may differ, so a time may come out below zero."""
        flow = self._flow(flow)
        self._ended_total.labels(flow, self._surface(surface), status).inc()
        if surface != FAN_OUT:
            self._task_seconds.labels(flow).observe(max(0.0, took))

    @override
    def answered(self, route: str, method: str, status: int, took: float | None) -> None:
        """See Observer. Routes are templates, so there are as many as the program has."""
        key = route, method if method in METHODS else "other", status
        found = self._answered.get(key)
        if found is None:
            found = self._requests_total.labels(*key), self._request_seconds.labels(*key[:2])
            self._answered[key] = found
        found[0].inc()
        if took is not None:
            found[1].observe(took)

"""The observer that counts, with its own Prometheus registry."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from typing_extensions import override

from asya_gateway.exposition.labels import Bounded
from asya_gateway.exposition.readings import Fixed
from asya_gateway.exposition.tallies import Count, Counts, Spread, Spreads
from asya_gateway.telemetry.observer import FAN_OUT, Observer
from asya_gateway.telemetry.spans import Spans

MAX_FLOWS = 200
"""Most flows with their own series. Actors called by name through /api/v1/mesh also count as flows."""
MAX_SURFACES = 16
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bucket bounds for the time that a caller waits, in seconds."""
SLOW = (15.0, 60.0, 600.0, 3_600.0)
"""Further bounds for what is repeated until it succeeds."""
LONG = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0)
"""Bucket bounds for the duration of a task, in seconds."""


class Metrics(Observer):
    """Counts events, with one lookup for each event."""

    def __init__(self, spans: Spans | None = None) -> None:
        if spans is not None:
            self.spans = spans
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._accepted_total = Counts("asya_tasks_accepted", "Calls accepted and committed.", ["flow", "surface"])
        self._ended_total = Counts("asya_tasks_ended", "Tasks ended.", ["flow", "surface", "status"])
        self._accept_seconds = Spreads(
            "asya_task_accept_seconds", "Time from a call's decoding to its commit.", ["surface"], QUICK
        )
        self._task_seconds = Spreads("asya_task_seconds", "Time from acceptance to end.", ["flow"], LONG)
        self._requests_total = Counts("asya_http_requests", "Requests answered.", ["route", "method", "status"])
        self._request_seconds = Spreads(
            "asya_http_request_seconds", "Time to answer a request, streams left out.", ["route", "method"], QUICK
        )
        self._deliveries_total = Counts("asya_deliveries", "Deliveries of tasks' changes.", ["channel", "outcome"])
        self._delivery_seconds = Spreads(
            "asya_delivery_seconds", "Time from a log entry to its delivery.", ["channel"], QUICK + SLOW
        )
        for tally in (self._accepted_total, self._ended_total, self._requests_total, self._deliveries_total):
            self.registry.register(tally)
        for spread in (self._accept_seconds, self._task_seconds, self._request_seconds, self._delivery_seconds):
            self.registry.register(spread)
        self._flow, self._surface = Bounded(MAX_FLOWS), Bounded(MAX_SURFACES)
        self._accepted: dict[tuple[str, str], tuple[Count, Spread]] = {}
        self._answered: dict[tuple[str, str, int], tuple[Count, Spread]] = {}

    def info(self, about: Mapping[str, str]) -> None:
        """Describe this process in the labels of a metric that is always 1."""
        self.registry.register(Fixed("asya_build_info", "Version, mode and transport.", about))

    @override
    def accepted(self, flow: str, surface: str, took: float) -> None:
        found = self._accepted.get((flow, surface))
        if found is None:
            found = self._first_accepted(flow, surface)
        found[0].inc()
        found[1].observe(took)

    @override
    def ended(self, flow: str, surface: str, status: str, took: float) -> None:
        """Count an ended task. The clocks of two pods may differ, so a time may be negative."""
        flow = self._flow(flow)
        self._ended_total.labels(flow, self._surface(surface), status).inc()
        if surface != FAN_OUT:
            self._task_seconds.labels(flow).observe(max(0.0, took))

    @override
    def answered(self, route: str, method: str, status: int, took: float | None) -> None:
        """Count a request. Routes are templates, so their number is bounded."""
        found = self._answered.get((route, method, status))
        if found is None:
            found = self._first_answer(route, method, status)
        found[0].inc()
        if took is not None:
            found[1].observe(took)

    def serves(self, channels: Iterable[str]) -> None:
        """These channels deliver here; their series begin with 0."""
        for channel in channels:
            self._delivery_seconds.labels(channel)
            for outcome in ("delivered", "failed", "disabled"):
                self._deliveries_total.labels(channel, outcome)

    @override
    def delivered(self, channel: str, took: float) -> None:
        self._deliveries_total.labels(channel, "delivered").inc()
        self._delivery_seconds.labels(channel).observe(took)

    @override
    def delivery_failed(self, channel: str, *, disabled: bool) -> None:
        self._deliveries_total.labels(channel, "disabled" if disabled else "failed").inc()

    def _first_accepted(self, flow: str, surface: str) -> tuple[Count, Spread]:
        shown, shown_surface = self._flow(flow), self._surface(surface)
        found = self._accepted_total.labels(shown, shown_surface), self._accept_seconds.labels(shown_surface)
        # Names that share a series are not cached, because callers of mesh choose them and the table would grow without
        # bound.
        if shown == flow and shown_surface == surface:
            self._accepted[flow, surface] = found
        return found

    def _first_answer(self, route: str, method: str, status: int) -> tuple[Count, Spread]:
        shown = method if method in METHODS else "other"
        found = self._requests_total.labels(route, shown, str(status)), self._request_seconds.labels(route, shown)
        # Only known methods are cached.
        if shown == method:
            self._answered[route, method, status] = found
        return found

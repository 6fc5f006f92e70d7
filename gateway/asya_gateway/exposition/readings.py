"""Metrics that are read at each scrape, from counters and properties that the parts keep anyway."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

log = logging.getLogger(__name__)

Value = float | Mapping[str, float] | None
"""One number, one for each value of the label, or None if unknown (then there is no sample)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric. `read` must be fast, because it runs during the scrape."""

    name: str
    help: str
    read: Callable[[], Value]
    kind: Literal["gauge", "counter"] = "gauge"
    label: str | None = None


class Readings(Collector):
    """Reads all metrics. One that cannot be read is left out, because a scrape must not fail for one number."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = tuple(readings)

    def describe(self) -> Iterator[Metric]:
        """The families without samples, because registering must not read parts that are not connected yet."""
        for reading in self._readings:
            yield _family(reading, None)

    @override
    def collect(self) -> Iterator[Metric]:
        """The families with their current samples."""
        for reading in self._readings:
            try:
                value = reading.read()
            except Exception:
                log.exception("%s cannot be read", reading.name)
                value = None
            yield _family(reading, value)


class Fixed(Collector):
    """A gauge that is always 1, with informative labels."""

    def __init__(self, name: str, help_: str, labels: Mapping[str, str]) -> None:
        self._name, self._help, self._labels = name, help_, labels

    @override
    def collect(self) -> Iterator[Metric]:
        """The single sample."""
        family = GaugeMetricFamily(self._name, self._help, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), 1)
        yield family


def _family(reading: Reading, value: Value) -> Metric:
    labels = [] if reading.label is None else [reading.label]
    kind = GaugeMetricFamily if reading.kind == "gauge" else CounterMetricFamily
    family = kind(reading.name, reading.help, labels=labels)
    match value:
        case None:
            pass
        case Mapping():
            for key, number in value.items():
                family.add_metric([key], number)
        case _:
            family.add_metric([], value)
    return family

"""Counters and histograms for use from the event loop's thread only.

The client library's own ones take a lock and walk their buckets for every value. At thousands of requests a second,
these microseconds are a large part of the cost of a request. The ones here are written by one thread only.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override


class Count:
    """A counter for one set of labels."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        """Add one."""
        self.value += 1


class Spread:
    """A histogram for one set of labels."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Add a value. A value equal to a bound belongs to the bucket below it, as the format requires."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Counts(Collector):
    """A counter with labels."""

    def __init__(self, name: str, help_: str, labels: Sequence[str]) -> None:
        self._name, self._help, self._labels = name, help_, labels
        self._of: dict[tuple[str, ...], Count] = {}

    def labels(self, *values: str) -> Count:
        """The counter for these values, created if necessary."""
        found = self._of.get(values)
        if found is None:
            found = self._of[values] = Count()
        return found

    @override
    def collect(self) -> Iterator[Metric]:
        """The current family."""
        family = CounterMetricFamily(self._name, self._help, labels=self._labels)
        for values, count in self._of.items():
            family.add_metric(values, count.value)
        yield family


class Spreads(Collector):
    """A histogram with labels. `bounds` are ascending; the last bucket is unbounded."""

    def __init__(self, name: str, help_: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._help, self._labels, self._bounds = name, help_, labels, bounds
        self._bound_texts = [*(floatToGoString(bound) for bound in bounds), "+Inf"]  # type: ignore[no-untyped-call]
        self._of: dict[tuple[str, ...], Spread] = {}

    def labels(self, *values: str) -> Spread:
        """The histogram for these values, created if necessary."""
        found = self._of.get(values)
        if found is None:
            found = self._of[values] = Spread(self._bounds)
        return found

    @override
    def collect(self) -> Iterator[Metric]:
        """The current family."""
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        for values, spread in self._of.items():
            buckets = list(zip(self._bound_texts, accumulate(spread.counts), strict=True))
            family.add_metric(values, buckets=buckets, sum_value=spread.total)
        yield family

"""Histograms that cost next to nothing to feed: every poll, every commit and every event of a viewer does it.

The library's takes a lock for each number and searches its buckets one by one; it is several times as dear. Here
only the event loop's thread observes, so that nothing has to be locked; a scrape in another thread reads a copy.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import Exemplar, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

#: An upper bound, how many amounts do not exceed it, and an example.
Bucket = tuple[str, float] | tuple[str, float, Exemplar]


class Histogram(Collector):
    """A histogram, or one series of it: with labels, `labels` gives the series that observe.

    `buckets` are upper bounds, rising; the one without a bound is added.
    """

    __slots__ = (
        "_bounds",
        "_children",
        "_counts",
        "_exemplars",
        "_help",
        "_labels",
        "_name",
        "_sum",
    )

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 - the trade's word
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._name = name
        self._help = help
        self._labels = tuple(labels)
        self._bounds = tuple(buckets)
        self._children: dict[tuple[str, ...], Histogram] = {}
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}
        if registry is not None:
            registry.register(self)

    def observe(self, amount: float, exemplar: Mapping[str, str] | None = None) -> None:
        """Count an amount. The exemplar, where there is one, leads from its bucket to a trace."""
        place = bisect_left(self._bounds, amount)
        self._counts[place] += 1
        self.sum += amount
        if exemplar:
            now = time.time()  # noqa: TID251 - compared with the date of the Prometheus server
            self._exemplars[place] = Exemplar(dict(exemplar), amount, now)

    def labels(self, *values: str) -> "Histogram":
        """Return the series of these values, in the order of the labels."""
        child = self._children.get(values)
        if child is None:
            child = Histogram(self._name, self._help, buckets=self._bounds)
            # Replaced, not changed: a scrape may be reading it.
            self._children = {**self._children, values: child}
        return child

    def remove(self, *values: str) -> None:
        """Forget the series of these values."""
        self._children = {key: child for key, child in self._children.items() if key != values}

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram as it stands."""
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        series = self._children if self._labels else {(): self}
        for values, each in series.items():
            family.add_metric(values, list(each.counted()), each.sum)
        yield family

    def counted(self) -> Iterator[Bucket]:
        """Yield the buckets of one series, each with all that the ones before it hold."""
        counted = 0
        bounds = (*self._bounds, float("inf"))
        for place, (bound, count) in enumerate(zip(bounds, tuple(self._counts), strict=True)):
            counted += count
            exemplar = self._exemplars.get(place)
            name = floatToGoString(bound)  # type: ignore[no-untyped-call]
            yield (name, counted) if exemplar is None else (name, counted, exemplar)

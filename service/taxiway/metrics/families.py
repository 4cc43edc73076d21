"""Rows made real: one prometheus_client metric each, its label values kept inside their closed sets."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Info

from taxiway.metrics import words
from taxiway.metrics.histograms import Histogram
from taxiway.metrics.table import TABLE, Row
from taxiway.metrics.words import Label

Metric = TypeVar("Metric", Counter, Gauge, Histogram)

_ROWS = {row.name: row for row in TABLE}


class Family(Generic[Metric]):
    """One metric with labels. `of` folds, and holds the children: finding one again is cheap."""

    __slots__ = ("_children", "_metric", "_sets")

    def __init__(self, metric: Metric, sets: tuple[set[str], ...]) -> None:
        self._metric: Metric = metric
        self._sets = sets
        self._children: dict[tuple[str, ...], Metric] = {}

    def of(self, *values: str) -> Metric:
        """Return the series of these values, in the row's order; one outside of its set becomes `other`."""
        child = self._children.get(values)
        if child is None:
            # Children are kept by words of the sets only, so whatever is not found here is folded first.
            folded = self._folded(values)
            child = self._children.get(folded)
            if child is None:
                child = self._children[folded] = self._metric.labels(*folded)
        return child

    def forget(self, *values: str) -> None:
        """Take the series of these values off the page: what it told is no longer so."""
        folded = self._folded(values)
        if self._children.pop(folded, None) is not None:
            self._metric.remove(*folded)

    def clear(self) -> None:
        """Take every series off the page."""
        for folded in self._children:
            self._metric.remove(*folded)
        self._children.clear()

    def _folded(self, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            value if value in known else words.OTHER
            for value, known in zip(values, self._sets, strict=True)
        )


class Families:
    """Makes the metrics of a registry, each by its row's name without the prefix `taxiway_`.

    `told` holds the sets that only the start knows, by the label's name. They may be filled later.
    """

    def __init__(self, registry: CollectorRegistry, *, told: Mapping[str, set[str]]) -> None:
        self._registry = registry
        self._told = told

    def counter(self, name: str) -> Counter:
        """Make a counter without labels."""
        row = _row(name)
        return Counter(row.name, row.help, registry=self._registry)

    def counters(self, name: str) -> Family[Counter]:
        """Make a counter with labels."""
        row = _row(name)
        return self._family(row, Counter(row.name, row.help, _names(row), registry=self._registry))

    def gauge(self, name: str) -> Gauge:
        """Make a gauge without labels."""
        row = _row(name)
        return Gauge(row.name, row.help, registry=self._registry)

    def gauges(self, name: str) -> Family[Gauge]:
        """Make a gauge with labels."""
        row = _row(name)
        return self._family(row, Gauge(row.name, row.help, _names(row), registry=self._registry))

    def histogram(self, name: str) -> Histogram:
        """Make a histogram without labels."""
        row = _row(name)
        return Histogram(row.name, row.help, registry=self._registry, buckets=row.buckets)

    def histograms(self, name: str) -> Family[Histogram]:
        """Make a histogram with labels."""
        row = _row(name)
        metric = Histogram(
            row.name, row.help, _names(row), registry=self._registry, buckets=row.buckets
        )
        return self._family(row, metric)

    def info(self, name: str) -> Info:
        """Make an info."""
        row = _row(name)
        return Info(row.name.removesuffix("_info"), row.help, registry=self._registry)

    def _family(self, row: Row, metric: Metric) -> Family[Metric]:
        family = Family(metric, tuple(self._set(label) for label in row.labels))
        for values in self._born(row):
            family.of(*values)
        return family

    def _set(self, label: Label) -> set[str]:
        return self._told[label.name] if label.words is None else set(label.words)

    def _born(self, row: Row) -> Iterator[tuple[str, ...]]:
        rest = [label for label in row.labels if label is not words.MODEL]
        combinations = row.born
        if combinations is None:
            combinations = tuple(product(*(sorted(self._set(label)) for label in rest)))
        if len(rest) == len(row.labels):
            yield from combinations
            return
        for model, values in product(sorted(self._told["model"]), combinations):
            yield (model, *values)


def _row(name: str) -> Row:
    return _ROWS[f"taxiway_{name}"]


def _names(row: Row) -> list[str]:
    return [label.name for label in row.labels]

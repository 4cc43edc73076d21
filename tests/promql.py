"""Queries taken apart: which metrics one asks for, by which labels, and what is done with them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import promql_parser

from taxiway.metrics.table import TABLE, Kind, Row

#: What Grafana puts in before a query leaves, as a test may put it in.
VARIABLES = {
    "$__rate_interval": "15s",
    "$__range": "45s",
    "$namespace": ".*",
    "$job": ".+",
    "$instance": ".+",
    "$model": ".+",
}

#: Labels that the scrape puts on every series.
SCRAPED = frozenset({"job", "instance", "namespace"})

#: Series that are not of Taxiway's table: the process's own, Prometheus's, the kubelet's.
FOREIGN = re.compile(
    r"(process|python)_[a-z_]+|up|ALERTS|kubelet_volume_stats_(available|capacity)_bytes"
)

#: What a recording rule makes.
RECORDED = re.compile(r"[a-z_]+:taxiway_[a-z_]+:[a-z_0-9]+")

_SUFFIXES = ("_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class Selector:
    """One mention of a metric: with its matchers, its range if it has one, and what stands around it."""

    name: str
    matchers: dict[str, tuple[str, str]]
    range: timedelta | None
    around: tuple[Any, ...]
    """The expressions it stands in, the outermost first."""

    @property
    def function(self) -> str | None:
        """The function that is called on it directly, if any."""
        inner = self.around[-1] if self.around else None
        return inner.func.name if isinstance(inner, promql_parser.Call) else None

    @property
    def aggregation(self) -> str | None:
        """The innermost aggregation that it stands in: sum, max and so on."""
        return str(self._aggregations[-1].op) if self._aggregations else None

    @property
    def kept(self) -> set[str]:
        """The labels that this aggregation keeps."""
        return labels_by(self._aggregations[-1]) if self._aggregations else set()

    @property
    def _aggregations(self) -> list[Any]:
        return [node for node in self.around if isinstance(node, promql_parser.AggregateExpr)]


def filled(expr: str) -> str:
    """Return a query as Grafana would send it."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def parse(expr: str) -> Any:
    """Return the tree of a query. Raises `ValueError` that says what is wrong."""
    return promql_parser.parse(filled(expr))


def walk(node: Any, around: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield every expression within one, and what stands around it. Brackets count as nothing."""
    if isinstance(node, promql_parser.ParenExpr):
        yield from walk(node.expr, around)
        return
    yield node, around
    for name in ("expr", "lhs", "rhs"):
        inner = getattr(node, name, None)
        if inner is not None:
            yield from walk(inner, (*around, node))
    for inner in getattr(node, "args", ()):
        yield from walk(inner, (*around, node))


def selectors(expr: str) -> list[Selector]:
    """Return every mention of a metric in a query."""
    found = []
    for node, around in walk(parse(expr)):
        vector, window = node, None
        if isinstance(node, promql_parser.MatrixSelector):
            vector, window = node.vector_selector, node.range
        if isinstance(vector, promql_parser.VectorSelector):
            matchers = {m.name: (str(m.op), m.value) for m in vector.matchers.matchers}
            found.append(Selector(vector.name, matchers, window, around))
    return found


def aggregations(expr: str) -> list[tuple[Any, tuple[Any, ...]]]:
    """Return every `sum by …` and its like in a query, with what stands around it."""
    return [
        (node, around)
        for node, around in walk(parse(expr))
        if isinstance(node, promql_parser.AggregateExpr)
    ]


def labels_by(aggregation: Any) -> set[str]:
    """Return the labels that an aggregation keeps."""
    return set() if aggregation.modifier is None else set(aggregation.modifier.labels)


def row_of(name: str) -> Row | None:
    """Return the row of the table that a series belongs to; None for a foreign or recorded one.

    Raises `KeyError` for a series that nobody exposes.
    """
    if FOREIGN.fullmatch(name) or RECORDED.fullmatch(name):
        return None
    rows = {row.name: row for row in TABLE}
    for suffix in _SUFFIXES:
        bare = name.removesuffix(suffix)
        if bare != name and bare in rows and rows[bare].kind is Kind.HISTOGRAM:
            return rows[bare]
    return rows[name]


def labels_of(name: str) -> set[str]:
    """Return the labels that a series of ours may have."""
    row = row_of(name)
    own = set() if row is None else {label.name for label in row.labels}
    return own | SCRAPED | ({"le"} if name.endswith("_bucket") else set())

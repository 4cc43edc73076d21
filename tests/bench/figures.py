"""A few numbers out of many."""

from collections.abc import Sequence
from statistics import median


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed; infinity for no values."""
    if not values:
        return float("inf")
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, int(rank) - 1)]


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return median(values)


def spread(values: Sequence[float]) -> float:
    """Return how far apart values are: the widest distance from the median, as a share of it."""
    centre = median(values)
    return max(abs(value - centre) for value in values) / centre if centre else 0.0

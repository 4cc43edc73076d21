"""Amounts counted by how large they are."""

import math

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from taxiway.metrics.histograms import Histogram

BOUNDS = (0.1, 1.0, 10.0)


def lines(registry: CollectorRegistry) -> list[str]:
    """Return what a scrape reads, comments apart."""
    text = generate_latest(registry).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_an_amount_is_counted_up_to_its_bound_and_beyond() -> None:
    """A bucket holds every amount that does not exceed its bound, so the last one holds all."""
    registry = CollectorRegistry()
    histogram = Histogram("waits", "How long?", buckets=BOUNDS, registry=registry)
    for amount in (0.0, 0.1, 0.11, 10.0, 11.0, math.inf):
        histogram.observe(amount)

    assert lines(registry) == [
        'waits_bucket{le="0.1"} 2.0',
        'waits_bucket{le="1.0"} 3.0',
        'waits_bucket{le="10.0"} 4.0',
        'waits_bucket{le="+Inf"} 6.0',
        "waits_count 6.0",
        "waits_sum +Inf",
    ]


def test_series_are_told_apart_by_their_labels() -> None:
    """Each combination of values counts for itself, until it is forgotten."""
    registry = CollectorRegistry()
    histogram = Histogram("waits", "How long?", ["who"], buckets=(1.0,), registry=registry)
    histogram.labels("fox").observe(0.5)
    histogram.labels("owl").observe(2.0)
    histogram.labels("fox").observe(0.5)
    both = lines(registry)
    histogram.remove("fox")

    assert both == [
        'waits_bucket{le="1.0",who="fox"} 2.0',
        'waits_bucket{le="+Inf",who="fox"} 2.0',
        'waits_count{who="fox"} 2.0',
        'waits_sum{who="fox"} 1.0',
        *lines(registry),
    ]
    assert lines(registry) == [
        'waits_bucket{le="1.0",who="owl"} 0.0',
        'waits_bucket{le="+Inf",who="owl"} 1.0',
        'waits_count{who="owl"} 1.0',
        'waits_sum{who="owl"} 2.0',
    ]


def test_the_last_example_of_a_bucket_leads_to_its_trace() -> None:
    """An exemplar stands at the bucket of its amount, and a later one takes its place."""
    registry = CollectorRegistry()
    histogram = Histogram("waits", "How long?", buckets=BOUNDS, registry=registry)
    histogram.observe(0.5, {"trace_id": "a"})
    histogram.observe(0.6, {"trace_id": "b"})
    histogram.observe(5.0)
    examples = [line.partition("# ")[2] for line in lines(registry) if "# " in line]

    assert len(examples) == 1
    assert examples[0].startswith('{trace_id="b"} 0.6 ')

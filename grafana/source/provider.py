"""Panels about the provider: how it answers, what it allows, and how its tasks are looked at."""

from source.objectives import quantile
from source.panels import BAD, GOOD, WARN, Panel, Query

_CALLS = "taxiway_upstream_request_duration_seconds"

PROVIDER = (
    Panel(
        kind="timeseries",
        title="Runway's time to answer, p95",
        says="By what was asked. A submission takes longer, since Runway fetches reference images "
        "first.",
        unit="s",
        width=8,
        queries=(
            Query(
                expr=quantile(0.95, f"{_CALLS}_bucket{{@}}", by=("operation",)),
                legend="{{operation}}",
            ),
        ),
        nothing="no calls",
    ),
    Panel(
        kind="timeseries",
        title="Runway's answers per second",
        says="`error` is no answer at all. 401 and 403 mean the key, 429 a limit, 5xx Runway itself.",
        unit="reqps",
        width=8,
        queries=(
            Query(
                expr=f"sum by (code) (rate({_CALLS}_count{{@}}[$__rate_interval]))",
                legend="{{code}}",
            ),
        ),
        stacked=True,
        alerts=("TaxiwayProviderKeyRefused",),
    ),
    Panel(
        kind="timeseries",
        title="Calls repeated, per minute",
        says="Only calls that certainly bought nothing are repeated. A few are normal.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr="sum by (operation, reason) (rate(taxiway_upstream_retries_total{@}[$__rate_interval])) * 60",
                legend="{{operation}}: {{reason}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Work held back, per second",
        says="`task_throttled`: all slots of the model are taken. `http_429`: the key calls too "
        "often, or its daily quota is spent.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="sum by (source) (rate(taxiway_upstream_throttles_total{@}[$__rate_interval]))",
                legend="{{source}}",
            ),
        ),
        steps=((None, GOOD), (0.1, WARN)),
        line=True,
        stacked=True,
        alerts=("TaxiwayProviderThrottled",),
    ),
    Panel(
        kind="timeseries",
        title="Slots, and those in use",
        says="Tasks that run against those that may, by model. No line for the limit: Runway names "
        "none.",
        unit="short",
        width=6,
        queries=(
            Query(expr="sum by (model) (taxiway_upstream_slots_in_use{@M})", legend="{{model}}"),
            Query(
                expr="sum by (model) (max by (model, account) (taxiway_upstream_slots{@M}))",
                legend="{{model}}: limit",
            ),
        ),
    ),
    Panel(
        kind="timeseries",
        title="Left of the day's quota",
        says="Generations that Runway still takes within these 24 hours. At 0 it refuses with 429.",
        unit="short",
        width=6,
        queries=(
            Query(
                expr="min by (model, account) (taxiway_upstream_daily_generations_remaining{@M})",
                legend="{{model}} ({{account}})",
            ),
        ),
        steps=((None, BAD), (20, GOOD)),
        line=True,
        nothing="no limit",
        alerts=("TaxiwayDailyQuotaLow",),
    ),
    Panel(
        kind="timeseries",
        title="Since Runway last answered well",
        says="By what was asked. While there are jobs, `poll` should be seconds.",
        unit="s",
        width=6,
        queries=(
            Query(
                expr="time() - max by (operation) (taxiway_upstream_last_success_timestamp_seconds{@})",
                legend="{{operation}}",
            ),
        ),
        nothing="never yet",
    ),
)

POLLING = (
    Panel(
        kind="timeseries",
        title="Polls per second, by what they found",
        says="One task is looked at every two seconds. `error` looks are repeated and cost nothing.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr="sum by (result) (rate(taxiway_polls_total{@}[$__rate_interval]))",
                legend="{{result}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Polls per job",
        says="About half of the seconds that a job takes.",
        unit="short",
        width=8,
        queries=tuple(
            Query(expr=quantile(q, "taxiway_polls_per_job_bucket{@}"), legend=f"p{q * 100:.0f}")
            for q in (0.5, 0.95)
        ),
        nothing="no jobs",
    ),
    Panel(
        kind="timeseries",
        title="Lateness of polls, p99",
        says="Against their beat. Milliseconds are good; more is a loop that has too much to do.",
        unit="s",
        width=8,
        queries=(
            Query(
                expr=quantile(0.99, "taxiway_poll_lateness_seconds_bucket{@}", by=("instance",)),
                legend="{{instance}}",
            ),
        ),
    ),
)

"""Overview: whether it is healthy, how fast it is, and what it costs."""

from source.dashboards import Page, Section
from source.objectives import (
    BUDGET_ALERTS,
    COUNTED,
    FAILED,
    OUTCOMES,
    OWN_ERRORS,
    PROBES,
    quantile,
    ratio,
)
from source.panels import BAD, CALM, GOOD, WARN, Panel, Query

_DURATIONS = 'taxiway_job_duration_seconds_bucket{@M,outcome="completed"}'
_LATENCIES = "taxiway_http_request_duration_seconds_bucket{@}"
_LAGS = "taxiway_sse_delivery_lag_seconds_bucket{@}"
_BALANCE = "sum(max by (account) (taxiway_upstream_credits_balance{@}))"

#: From the reasons of failed jobs straight to their lines in the log, where a Loki is at hand.
_TO_THE_LOG = {
    "title": "Failed jobs in the log",
    "targetBlank": True,
    "url": (
        "/explore?schemaVersion=1&panes="
        "%7B%22a%22%3A%7B%22datasource%22%3A%22${loki}%22%2C%22queries%22%3A%5B%7B%22refId%22%3A%22A%22%2C"
        "%22expr%22%3A%22%7Bjob%3D%5C%22taxiway%5C%22%7D%20%7C%20json%20%7C%20event%3D%5C%22job.failed%5C%22%22"
        "%7D%5D%2C%22range%22%3A%7B%22from%22%3A%22${__from}%22%2C%22to%22%3A%22${__to}%22%7D%7D%7D"
    ),
}

_TOP = (
    Panel(
        kind="stat",
        title="Jobs that succeed",
        says="Of the jobs that ended in this time, without those that failed by their callers' "
        "doing. 99 % is the objective. Below: Jobs and provider says why.",
        unit="percentunit",
        width=3,
        height=4,
        queries=(Query(expr=f"1 - {ratio(FAILED, COUNTED, '$__range')}", instant=True),),
        steps=((None, BAD), (0.95, WARN), (0.99, GOOD)),
        decimals=2,
        most=1,
        nothing="no jobs",
        alerts=BUDGET_ALERTS,
    ),
    Panel(
        kind="stat",
        title="Time to an image, p95",
        says="19 of 20 images of this time were there within this. The objective is a minute; most "
        "of it is Runway's own time, which Jobs and provider shows.",
        unit="s",
        width=3,
        height=4,
        queries=(Query(expr=quantile(0.95, _DURATIONS, over="$__range"), instant=True),),
        steps=((None, GOOD), (45, WARN), (60, BAD)),
        decimals=1,
        nothing="no images",
        alerts=("TaxiwayJobSpeedBudgetBurn",),
    ),
    Panel(
        kind="stat",
        title="Jobs under way",
        says="Unfinished jobs of the chosen replicas. A number that only grows is a queue: see the "
        "next one.",
        unit="short",
        width=3,
        height=4,
        queries=(Query(expr="sum(taxiway_jobs_in_progress{@})"),),
        steps=((None, CALM),),
    ),
    Panel(
        kind="stat",
        title="Longest wait in the queue",
        says="How long ago the oldest job was accepted that has not been sent to Runway. Seconds are "
        "good; minutes mean that no slot is free or nobody works.",
        unit="s",
        width=3,
        height=4,
        queries=(Query(expr='max(taxiway_store_oldest_job_age_seconds{@,phase="queued"})'),),
        steps=((None, GOOD), (120, WARN), (300, BAD)),
        alerts=("TaxiwayQueueStuck",),
    ),
    Panel(
        kind="stat",
        title="Viewers",
        says="Event streams that are open now. They cost little: ten thousand fit on one replica.",
        unit="short",
        width=3,
        height=4,
        queries=(Query(expr="sum(taxiway_sse_streams_open{@})"),),
        steps=((None, CALM),),
    ),
    Panel(
        kind="stat",
        title="Spend",
        says="US dollars for ended jobs in the last 24 hours and in the last hour. An estimate: the "
        "ledger, at GET /v1/usage, is the exact record.",
        unit="currencyUSD",
        width=4,
        height=4,
        queries=(
            Query(
                expr="sum(increase(taxiway_cost_usd_total{@M}[24h]))", legend="24 h", instant=True
            ),
            Query(expr="sum(increase(taxiway_cost_usd_total{@M}[1h]))", legend="1 h", instant=True),
        ),
        steps=((None, CALM),),
        decimals=2,
        alerts=("TaxiwaySpendHigh",),
    ),
    Panel(
        kind="stat",
        title="Credits left",
        says="On all accounts at Runway together, and for how long that lasts at the pace of the "
        "last 24 hours. Buy before it is a day.",
        unit="short",
        width=5,
        height=4,
        queries=(
            Query(expr=_BALANCE, legend="credits", instant=True),
            Query(
                expr=f"{_BALANCE} / (sum(increase(taxiway_upstream_credits_spent_total{{@}}[24h])) > 0) * 86400",
                legend="lasts for",
                instant=True,
                unit="dtdurations",
            ),
        ),
        steps=((None, BAD), (1, GOOD)),
        nothing="unknown",
        alerts=("TaxiwayCreditsExhausted", "TaxiwayCreditsLow"),
    ),
)

_JOBS = (
    Panel(
        kind="timeseries",
        title="Jobs that end, per minute",
        says="Green is an image, red a failure, whoever caused it.",
        unit="short",
        width=12,
        queries=(
            Query(
                expr="sum by (outcome) (rate(taxiway_jobs_finished_total{@M}[$__rate_interval])) * 60",
                legend="{{outcome}}",
            ),
        ),
        stacked=True,
        colours=OUTCOMES,
        links=(_TO_THE_LOG,),
    ),
    Panel(
        kind="timeseries",
        title="Jobs that succeed",
        says="Without those that failed by their callers' doing. The line is the objective, 99 %; "
        "single failures of a quiet hour make deep notches.",
        unit="percentunit",
        width=12,
        queries=(
            Query(expr=f"1 - {ratio(FAILED, COUNTED, '$__rate_interval')}", legend="succeed"),
        ),
        steps=((None, BAD), (0.99, GOOD)),
        line=True,
        least=None,
        most=1,
        nothing="no jobs",
        alerts=BUDGET_ALERTS,
    ),
    Panel(
        kind="heatmap",
        title="Time to an image",
        says="Every completed job by how long its caller waited. Two bands are two models, or a "
        "queue; a dot is a trace.",
        unit="s",
        width=12,
        queries=(
            Query(
                expr=f"sum by (le) (increase({_DURATIONS}[$__rate_interval]))",
                legend="{{le}}",
                exemplars=True,
            ),
        ),
        nothing="no images",
    ),
    Panel(
        kind="timeseries",
        title="Time to an image, quantiles",
        says="The objective is p95 below a minute.",
        unit="s",
        width=12,
        queries=tuple(
            Query(expr=quantile(q, _DURATIONS), legend=f"p{q * 100:.0f}", exemplars=q == 0.95)
            for q in (0.5, 0.95, 0.99)
        ),
        steps=((None, GOOD), (60, BAD)),
        line=True,
        nothing="no images",
        alerts=("TaxiwayJobSpeedBudgetBurn",),
    ),
)

_API = (
    Panel(
        kind="timeseries",
        title="Answers per second",
        says="By status, probes and scrapes apart. 4xx are callers' mistakes, 502 and 504 failed "
        "jobs, other 5xx ours.",
        unit="reqps",
        width=8,
        queries=(
            Query(
                expr=f"sum by (code) (rate(taxiway_http_requests_total{{@,{PROBES}}}[$__rate_interval]))",
                legend="{{code}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Errors of our own",
        says="The share of answers that are a 5xx of the service itself; 0.1 % is the objective.",
        unit="percentunit",
        width=8,
        queries=(
            Query(
                expr=f"(sum(rate({OWN_ERRORS}[$__rate_interval])) or vector(0)) / "
                f"(sum(rate(taxiway_http_requests_total{{@,{PROBES}}}[$__rate_interval])) > 0)",
                legend="errors",
            ),
        ),
        steps=((None, GOOD), (0.001, BAD)),
        line=True,
        alerts=("TaxiwayApiErrorBudgetBurn",),
    ),
    Panel(
        kind="timeseries",
        title="Time to an answer",
        says="Of requests that do not wait for an image. 99 of 100 should be below half a second; if "
        "not, look at the event loop and the store, under Runtime and store.",
        unit="s",
        width=8,
        queries=tuple(
            Query(expr=quantile(q, _LATENCIES), legend=f"p{q * 100:.0f}") for q in (0.5, 0.99)
        ),
        steps=((None, GOOD), (0.5, BAD)),
        line=True,
        alerts=("TaxiwayApiLatencyBudgetBurn",),
    ),
    Panel(
        kind="timeseries",
        title="Turned away, per minute",
        says="Requests that were refused before they did anything. `queue_full` and "
        "`store_unavailable` are ours to mend, the others are their callers' or a shutdown.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr="sum by (reason) (rate(taxiway_http_rejections_total{@}[$__rate_interval])) * 60",
                legend="{{reason}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Viewers",
        says="Event streams open, by replica. A step down is a rollout; they come back by "
        "themselves.",
        unit="short",
        width=8,
        queries=(
            Query(
                expr="sum by (instance) (taxiway_sse_streams_open{@})",
                legend="{{instance}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        kind="timeseries",
        title="Age of what viewers see",
        says="From the store to the viewer's connection. 99 of 100 events should need less than a "
        "second.",
        unit="s",
        width=8,
        queries=tuple(
            Query(expr=quantile(q, _LAGS), legend=f"p{q * 100:.0f}") for q in (0.5, 0.99)
        ),
        steps=((None, GOOD), (1, BAD)),
        line=True,
        nothing="no viewers",
        alerts=("TaxiwayFreshnessBudgetBurn", "TaxiwayStreamLag"),
    ),
)

_ALERTS = (
    Panel(
        kind="table",
        title="Alerts",
        says="What Prometheus's rules say now; an empty table is good. docs/runbooks has a page on "
        "each.",
        unit="short",
        width=24,
        height=6,
        queries=(Query(expr='ALERTS{job=~"$job",alertname=~"Taxiway.+"}', instant=True),),
        nothing="none",
        columns={
            "alertname": "alert",
            "alertstate": "state",
            "severity": "severity",
            "instance": "instance",
        },
    ),
)

OVERVIEW = Page(
    uid="taxiway-overview",
    title="Taxiway / Overview",
    asks="Is it healthy, how fast is it, what does it cost?",
    sections=(
        Section(panels=_TOP),
        Section(title="Images", panels=_JOBS),
        Section(title="The API and its viewers", panels=_API),
        Section(title="Alerts", panels=_ALERTS),
    ),
)

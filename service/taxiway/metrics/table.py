"""Every metric as one row: the registry is built from it, README and dashboards are checked against it.

Bounds stand on the numbers people watch: polls 2 s apart, jobs of 10 to 30 s, a deadline of 600 s and one
bound above it, so that overruns show.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from taxiway.errors import Reason
from taxiway.jobs import JobStatus
from taxiway.metrics import words
from taxiway.metrics.words import Label


class Kind(StrEnum):
    """The types of the exposition format that are in use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric. `help` is the question it answers, and how to add it up where that is not plain."""

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    """`model`, where a row has it, comes first."""
    buckets: tuple[float, ...] = ()
    born: tuple[tuple[str, ...], ...] | None = None
    """Values of the labels after `model` that exist from the start, so that the first failure is an increase.

    None means every combination; empty, that a series appears when it is first fed.
    """
    across: Literal["sum", "max", "min"] = "sum"
    """How replicas add up. Not a sum where each of them tells the same fact about the store or the account."""


#: Not from the start: the combinations are many, or 0 would be a lie, as for a date.
_WHEN_FED: tuple[tuple[str, ...], ...] = ()


def _counter(
    name: str, asks: str, *labels: Label, born: tuple[tuple[str, ...], ...] | None = None
) -> Row:
    return Row(name=name, kind=Kind.COUNTER, help=asks, labels=labels, born=born)


def _gauge(
    name: str,
    asks: str,
    *labels: Label,
    born: tuple[tuple[str, ...], ...] | None = None,
    across: Literal["sum", "max", "min"] = "sum",
) -> Row:
    return Row(name=name, kind=Kind.GAUGE, help=asks, labels=labels, born=born, across=across)


def _histogram(
    name: str,
    asks: str,
    *labels: Label,
    buckets: tuple[float, ...],
    born: tuple[tuple[str, ...], ...] | None = None,
) -> Row:
    return Row(name=name, kind=Kind.HISTOGRAM, help=asks, labels=labels, buckets=buckets, born=born)


def _info(name: str, asks: str, *labels: Label) -> Row:
    return Row(name=name, kind=Kind.INFO, help=asks, labels=labels)


_HTTP_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_JOB_S = (1, 2.5, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 45, 60, 90, 120, 180, 300, 450, 600, 900)
_PHASE_S = (0.05, 0.25, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
_UPSTREAM_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30)
_LAG_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_STORE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_POLLS = (1, 2, 3, 5, 8, 12, 18, 30, 60, 120, 300)

_ENDS = (
    (JobStatus.COMPLETED, Reason.NONE),
    (JobStatus.CANCELLED, Reason.CANCELLED),
    *((JobStatus.FAILED, reason) for reason in tuple(Reason)[2:]),
)
_WASTES = (
    (Reason.MODERATION_INPUT, "charged"),
    (Reason.MODERATION_OUTPUT, "charged"),
    (Reason.UPSTREAM_ERROR, "charged"),
    (Reason.CANCELLED, "estimated"),
    (Reason.DEADLINE, "estimated"),
    (Reason.INTERNAL, "estimated"),
    (Reason.SUBMISSION_UNKNOWN, "estimated"),
)
_ANSWERS = (
    *(("submit", code) for code in ("200", "401", "403", "429", words.ERROR)),
    *(("poll", code) for code in ("200", "401", "403", "429", words.ERROR)),
    *(("cancel", code) for code in ("204", "401", "403", words.ERROR)),
    *(("download", code) for code in ("200", words.ERROR)),
    *(("account", code) for code in ("200", "401", "403", words.ERROR)),
)
_STORE_DAILY = tuple((operation,) for operation in words.STORE_DAILY)
_STORE_FAILURES = tuple((operation, "unavailable") for operation in words.STORE_DAILY)
_RETRIES = (
    *(("submit", reason) for reason in ("rate_limited", "server_error", "unreachable")),
    ("cancel", "server_error"),
)

TABLE = (
    # The doors
    _counter(
        "taxiway_http_requests_total",
        "How many requests were answered, on which route, with which status?",
        *(words.METHOD, words.ROUTE, words.HTTP_CODE),
        born=_WHEN_FED,
    ),
    _histogram(
        "taxiway_http_request_duration_seconds",
        "How long do answers take? Without event streams, requests that wait for an image, and probes.",
        *(words.METHOD, words.ROUTE),
        buckets=_HTTP_S,
        born=_WHEN_FED,
    ),
    _gauge(
        "taxiway_http_requests_in_progress",
        "How many requests are being answered at this moment? Those that stream or wait are among them.",
    ),
    _counter(
        "taxiway_http_rejections_total",
        "How many requests were turned away before they could do anything, and why?",
        words.REJECTION,
    ),
    # The jobs
    _counter(
        "taxiway_jobs_submitted_total",
        "How many jobs were accepted, that is, stored?",
        words.MODEL,
    ),
    _counter(
        "taxiway_jobs_deduplicated_total",
        "How many submissions were answered from an earlier job, because they were the same one again?",
    ),
    _counter(
        "taxiway_jobs_finished_total",
        "How did jobs end, and why? `none` is the reason of a completed one.",
        *(words.MODEL, words.OUTCOME, words.REASON),
        born=_ENDS,
    ),
    _histogram(
        "taxiway_job_duration_seconds",
        "How long does a caller wait from acceptance to the end of a job?",
        *(words.MODEL, words.OUTCOME),
        buckets=_JOB_S,
        born=_WHEN_FED,
    ),
    _histogram(
        "taxiway_job_phase_duration_seconds",
        "Where does the time of a job go? One observation per phase it went through, at its end.",
        words.PHASE,
        buckets=_PHASE_S,
    ),
    _gauge(
        "taxiway_jobs_in_progress",
        "How many jobs is this replica working on, and what do they wait for?",
        words.PHASE,
    ),
    _gauge(
        "taxiway_store_jobs",
        "How many jobs are unfinished in the store, whoever works on them? Every replica tells all: take the max.",
        words.PHASE,
        across="max",
    ),
    _gauge(
        "taxiway_store_oldest_job_age_seconds",
        "How old is the oldest of them? Every replica tells the same: take the max.",
        words.PHASE,
        across="max",
    ),
    _gauge(
        "taxiway_store_unreadable_jobs",
        "How many unfinished jobs are damaged in the store? Every replica tells all: take the max.",
        across="max",
    ),
    _counter(
        "taxiway_job_recoveries_total",
        "How many unfinished jobs were taken over from an earlier owner, and what had become of it?",
        words.CAUSE,
    ),
    _counter(
        "taxiway_job_lease_losses_total",
        "How many jobs were lost to another replica while this one was still working on them?",
    ),
    _counter(
        "taxiway_job_submissions_unknown_total",
        "How many submissions ended without anybody knowing whether a task was bought?",
    ),
    # The provider
    _histogram(
        "taxiway_upstream_request_duration_seconds",
        "How long does one call to the provider take, and what does it answer? Code `error` is no answer.",
        *(words.OPERATION, words.UPSTREAM_CODE),
        buckets=_UPSTREAM_S,
        born=_ANSWERS,
    ),
    _counter(
        "taxiway_upstream_retries_total",
        "How many calls to the provider had to be repeated, and why?",
        *(words.OPERATION, words.RETRY),
        born=_RETRIES,
    ),
    _counter(
        "taxiway_upstream_throttles_total",
        "How often was work held back, and by whom?",
        words.THROTTLE,
    ),
    _gauge(
        "taxiway_upstream_slots",
        "How many tasks of a model may run at once? Absent: no limit. Every replica tells the same: take the max.",
        *(words.MODEL, words.ACCOUNT),
        born=_WHEN_FED,
        across="max",
    ),
    _gauge(
        "taxiway_upstream_slots_in_use",
        "How many tasks of a model has this replica running at the provider, without those held back there?",
        words.MODEL,
    ),
    _gauge(
        "taxiway_upstream_daily_generations_remaining",
        "How many more may be made within these 24 hours? Absent: no limit. Told by every replica: take the min.",
        *(words.MODEL, words.ACCOUNT),
        born=_WHEN_FED,
        across="min",
    ),
    _gauge(
        "taxiway_upstream_last_success_timestamp_seconds",
        "When did the provider last answer well? A date in Unix seconds.",
        words.OPERATION,
        born=_WHEN_FED,
        across="max",
    ),
    _counter(
        "taxiway_images_stored_total",
        "How many finished images went into the archive, and how many could not and stay with the provider?",
        words.KEPT,
    ),
    # The polls
    _counter("taxiway_polls_total", "What do looks at running tasks find?", words.POLL),
    _histogram("taxiway_polls_per_job", "How many looks does a job need?", buckets=_POLLS),
    _histogram(
        "taxiway_poll_lateness_seconds",
        "Do looks start when they should? Time between a poll's beat and its start.",
        buckets=_LAG_S,
    ),
    # The money
    _counter(
        "taxiway_cost_usd_total",
        "What did finished jobs cost, in US dollars? Restarts and rates blur it: the jobs are the exact record.",
        *(words.MODEL, words.BASIS),
    ),
    _counter(
        "taxiway_cost_wasted_usd_total",
        "How many US dollars went into attempts that brought no image, and why?",
        *(words.MODEL, words.REASON, words.BASIS),
        born=_WASTES,
    ),
    _counter(
        "taxiway_upstream_credits_spent_total",
        "The same as the cost, in the provider's credits.",
        *(words.MODEL, words.BASIS),
    ),
    _gauge(
        "taxiway_cost_reserved_usd",
        "How many US dollars may the unfinished jobs of this replica still cost?",
    ),
    _gauge(
        "taxiway_upstream_credits_balance",
        "How many credits are left on an account at the provider? Every replica tells the same: take the max.",
        words.ACCOUNT,
        born=_WHEN_FED,
        across="max",
    ),
    _gauge(
        "taxiway_budget_remaining_usd",
        "How many US dollars are left in a budget of the configuration? Told by every replica: take the min.",
        *(words.BUDGET, words.WINDOW),
        born=_WHEN_FED,
        across="min",
    ),
    # The streams
    _gauge("taxiway_sse_streams_open", "How many viewers are connected at this moment?"),
    _counter("taxiway_sse_streams_closed_total", "Why do event streams end?", words.CLOSE),
    _counter(
        "taxiway_sse_events_sent_total",
        "How many events are written to viewers? Without heartbeats.",
        words.SSE_EVENT,
    ),
    _counter(
        "taxiway_sse_resumes_total",
        "What do viewers find who come back with a cursor?",
        words.RESUME,
    ),
    _histogram(
        "taxiway_sse_delivery_lag_seconds",
        "How long after it was stored does an event reach a viewer's connection?",
        buckets=_LAG_S,
    ),
    # The webhooks
    _counter(
        "taxiway_webhook_tries_total",
        "How do tries to tell a receiver of a job's end go? `failed` is given up for good.",
        words.TOLD,
    ),
    _histogram(
        "taxiway_webhook_duration_seconds",
        "How long do receivers take to answer?",
        buckets=_UPSTREAM_S,
    ),
    _gauge(
        "taxiway_webhooks_pending",
        "How many deliveries are not over? Every replica tells the same: take the max.",
        across="max",
    ),
    # The store
    _histogram(
        "taxiway_store_operation_duration_seconds",
        "How long does the store take, the wait for a connection included?",
        words.STORE_OPERATION,
        buckets=_STORE_S,
        born=_STORE_DAILY,
    ),
    _counter(
        "taxiway_store_errors_total",
        "Which operations of the store fail, and why?",
        *(words.STORE_OPERATION, words.STORE_FAILURE),
        born=_STORE_FAILURES,
    ),
    _gauge(
        "taxiway_store_connections",
        "How many connections of the store's pool are in use or idle, and how many calls wait for one?",
        words.CONNECTION,
    ),
    _gauge(
        "taxiway_store_size_bytes",
        "How large are the files of the embedded store?",
        words.FILE,
        born=_WHEN_FED,
    ),
    _info("taxiway_store_info", "Which store is in use?", words.BACKEND, words.SCHEMA),
    # The process
    _histogram(
        "taxiway_event_loop_lag_seconds",
        "Is the event loop free? How late it runs a timer.",
        buckets=_LAG_S,
    ),
    _gauge(
        "taxiway_background_task_last_success_timestamp_seconds",
        "When did a background task last finish a round? A date in Unix seconds.",
        words.TASK,
        born=_WHEN_FED,
    ),
    _counter(
        "taxiway_background_task_failures_total",
        "How many rounds of a background task failed?",
        words.TASK,
        born=_WHEN_FED,
    ),
    _gauge("taxiway_draining", "Is this replica shutting down? 1 while it is."),
    _counter(
        "taxiway_logs_dropped_total",
        "How many log lines were given up because nobody read them in time?",
    ),
    _info("taxiway_build_info", "What is running here?", words.VERSION, words.PYTHON),
)

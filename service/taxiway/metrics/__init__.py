"""Prometheus numbers. `Metrics` is what the feeders hold; nobody else needs to know the library.

They are for watching, not for accounting: a restart resets them and a rate estimates. What a job cost to the
credit stands in the job.
"""

import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)

from taxiway.cadence import every
from taxiway.events import Event
from taxiway.jobs import Job, Phase
from taxiway.metrics import words
from taxiway.metrics.exposition import Exposition
from taxiway.metrics.families import Families, Family
from taxiway.metrics.jobs import JobMetrics, throttled

#: Four looks a second cost nothing, and a quarter of a second is about what a viewer begins to notice.
LOOP_PROBE_S = 0.25


class Metrics:
    """All numbers of one service, in a registry of its own.

    `models` are the public names on offer, `aliases` further names of theirs. A name that is offered with and
    without its provider's prefix is one model, counted without; so is a model that has aliases. Every word a
    feeder gives is folded into its label's closed set.
    """

    def __init__(
        self, models: Sequence[str], *, version: str, aliases: Mapping[str, str] | None = None
    ) -> None:
        canonical = {name: _bare(name, models) for name in models}
        canonical |= {alias: canonical.get(name, name) for alias, name in (aliases or {}).items()}
        self._canonical = canonical
        self._models = set(canonical.values())
        self._routes: set[str] = set()
        self._tasks: set[str] = set()
        self._accounts: set[str] = set()
        self._budgets: set[str] = set()
        self._windows: set[str] = set()
        told = {
            "model": self._models,
            "route": self._routes,
            "task": self._tasks,
            "account": self._accounts,
            "budget": self._budgets,
            "window": self._windows,
        }
        registry = CollectorRegistry()
        self._exposition = Exposition(registry)
        self._make(Families(registry, told=told), version=version)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def _make(self, families: Families, *, version: str) -> None:
        self._jobs = JobMetrics(families, canonical=self._canonical)
        self._http_requests = families.counters("http_requests_total")
        self._http_durations = families.histograms("http_request_duration_seconds")
        self._http_under_way = 0
        families.gauge("http_requests_in_progress").set_function(lambda: self._http_under_way)
        self._rejections = families.counters("http_rejections_total")
        self._deduplicated = families.counter("jobs_deduplicated_total")
        self._recoveries = families.counters("job_recoveries_total")
        self._lease_losses = families.counter("job_lease_losses_total")
        self._store_jobs = families.gauges("store_jobs")
        self._store_ages = families.gauges("store_oldest_job_age_seconds")
        self._store_unreadable = families.gauge("store_unreadable_jobs")
        self._upstream = families.histograms("upstream_request_duration_seconds")
        self._upstream_retries = families.counters("upstream_retries_total")
        self._throttles = families.counters("upstream_throttles_total")
        self._last_success = families.gauges("upstream_last_success_timestamp_seconds")
        self._succeeded_at: dict[str, float] = {}
        self._slots = families.gauges("upstream_slots")
        self._daily_remaining = families.gauges("upstream_daily_generations_remaining")
        self._balance = families.gauges("upstream_credits_balance")
        self._budget = families.gauges("budget_remaining_usd")
        self._polls = families.counters("polls_total")
        self._poll_lateness = families.histogram("poll_lateness_seconds")
        self._streams_open = families.gauge("sse_streams_open")
        self._streams_closed = families.counters("sse_streams_closed_total")
        self._stream_events = families.counters("sse_events_sent_total")
        self._stream_resumes = families.counters("sse_resumes_total")
        self._delivery_lag = families.histogram("sse_delivery_lag_seconds")
        self._webhook_tries = families.counters("webhook_tries_total")
        self._webhook_durations = families.histogram("webhook_duration_seconds")
        self._webhooks_pending = families.gauge("webhooks_pending")
        self._store_operations = families.histograms("store_operation_duration_seconds")
        self._store_errors = families.counters("store_errors_total")
        self._connections = families.gauges("store_connections")
        self._store_sizes = families.gauges("store_size_bytes")
        self._store_info = families.info("store_info")
        self._loop_lag = families.histogram("event_loop_lag_seconds")
        self._rounds_done = families.gauges("background_task_last_success_timestamp_seconds")
        self._rounds_failed = families.counters("background_task_failures_total")
        self._draining = families.gauge("draining")
        self._logs_dropped = families.counter("logs_dropped_total")
        build = {"version": version, "python": platform.python_version()}
        families.info("build_info").info(build)

    # Jobs

    def observe(self, event: Event) -> None:
        """Count an event of a job: the observer to give to the journal."""
        self._jobs.observe(event)
        if throttled(event):
            self._throttles.of("task_throttled").inc()

    def deduplicated(self) -> None:
        """Count a submission that was answered from an earlier job."""
        self._deduplicated.inc()

    def recovered(self, job: Job, cause: str) -> None:
        """Count a job taken over from an earlier owner, among this replica's unfinished ones too.

        `cause` is restart, handover or lease_expired.
        """
        self._jobs.hold(job)
        self._recoveries.of(cause).inc()

    def lease_lost(self, job: Job) -> None:
        """Count a job that another replica has taken over while this one was still working on it."""
        self._jobs.drop(job.id)
        self._lease_losses.inc()

    def released(self, job: Job) -> None:
        """Take a job that was handed over out of this replica's unfinished ones."""
        self._jobs.drop(job.id)

    def store_jobs(
        self, counts: Mapping[Phase | None, int], oldest: Mapping[Phase | None, float]
    ) -> None:
        """Show the unfinished jobs of the whole store, as just read: how many by phase, and the oldest's age.

        Ages are in seconds since the acceptance. A phase that is not named has none; None is for the unreadable.
        """
        self._store_unreadable.set(counts.get(None, 0))
        for phase in Phase:
            self._store_jobs.of(phase).set(counts.get(phase, 0))
            self._store_ages.of(phase).set(max(0.0, oldest.get(phase, 0.0)))

    def offer(self, models: Sequence[str], *, aliases: Mapping[str, str] | None = None) -> None:
        """Name the models on offer from now on. Those of before keep their series."""
        names = {name: _bare(name, models) for name in models}
        names |= {alias: names.get(name, name) for alias, name in (aliases or {}).items()}
        self._canonical.update(names)
        self._models.update(names.values())

    # The doors

    def know_routes(self, routes: Iterable[str]) -> None:
        """Name the templates of the URL map, such as `/v1/jobs/{id}`. All others are counted as `other`."""
        self._routes.update(routes)

    def http(self, method: str, route: str, code: int, duration_s: float | None) -> None:
        """Count an answer. `duration_s` is None for streams, requests that waited for an image, and probes."""
        self._http_requests.of(method, route, str(code)).inc()
        if duration_s is not None:
            self._http_durations.of(method, route).observe(duration_s)

    def http_started(self) -> None:
        """Count a request as being answered, until `http_ended`."""
        self._http_under_way += 1

    def http_ended(self) -> None:
        """End what `http_started` began."""
        self._http_under_way -= 1

    def rejected(self, reason: str) -> None:
        """Count a request refused before it did anything: see `words.REJECTION`."""
        self._rejections.of(reason).inc()

    # The provider: with the next four, `Metrics` is the `Instruments` of the engine

    def upstream(self, operation: str, code: str, duration_s: float) -> None:
        """Count one call to a provider; `code` is the HTTP status, or `error` without an answer."""
        self._upstream.of(operation, code).observe(duration_s)
        if code in words.GOOD:
            if operation not in self._succeeded_at:
                shown = partial(self._succeeded_at.__getitem__, operation)
                self._last_success.of(operation).set_function(shown)
            # The machine's own date: it is compared with that of the Prometheus server.
            self._succeeded_at[operation] = time.time()  # noqa: TID251
        elif code == "429":
            self._throttles.of("http_429").inc()

    def upstream_retry(self, operation: str, reason: str) -> None:
        """Count a call that is going to be repeated: rate_limited, server_error or unreachable."""
        self._upstream_retries.of(operation, reason).inc()

    def poll(self, result: str) -> None:
        """Count a poll by what it showed: pending, throttled, running, final, unknown or error."""
        self._polls.of(result).inc()

    def poll_lateness(self, late_s: float) -> None:
        """Take how late a poll started against its beat."""
        self._poll_lateness.observe(late_s)

    # The accounts at the provider

    def know_accounts(self, names: Iterable[str]) -> None:
        """Name the accounts that will be told of from now on. What was told of others leaves the page."""
        for family in (self._balance, self._slots, self._daily_remaining):
            family.clear()
        self._accounts.clear()
        self._accounts.update(names)

    def credits_balance(self, account: str, number: int) -> None:
        """Show how many credits are left on an account."""
        self._balance.of(account).set(number)

    def limits(
        self, account: str, model: str, *, slots: int | None, daily_remaining: int | None
    ) -> None:
        """Show what an account may do with a model of this public name. None: there is no limit."""
        model = self._canonical.get(model, words.OTHER)
        for family, number in ((self._slots, slots), (self._daily_remaining, daily_remaining)):
            if number is None:
                family.forget(model, account)
            else:
                family.of(model, account).set(number)

    # The budgets of the configuration

    def know_budgets(self, budgets: Iterable[tuple[str, str]]) -> None:
        """Name the budgets that will be told of from now on, and the window of each. Others leave the page."""
        self._budget.clear()
        self._budgets.clear()
        self._windows.clear()
        for budget, window in budgets:
            self._budgets.add(budget)
            self._windows.add(window)

    def budget_remaining(self, budget: str, window: str, *, microusd: int) -> None:
        """Show what is left in a budget; negative where more was spent."""
        self._budget.of(budget, window).set(microusd / 1_000_000)

    # Streams

    def stream_opened(self) -> None:
        """Count a viewer in."""
        self._streams_open.inc()

    def stream_closed(self, reason: str) -> None:
        """Count a viewer out: completed, client_gone, draining, max_age, slow_consumer or error."""
        self._streams_open.dec()
        self._streams_closed.of(reason).inc()

    def stream_event(self, name: str) -> None:
        """Count one event written to one viewer."""
        self._stream_events.of(name).inc()

    def stream_resume(self, result: str) -> None:
        """Count a viewer who came with a cursor: replayed, current or gap."""
        self._stream_resumes.of(result).inc()

    def delivery_lag(self, lag_s: float) -> None:
        """Take the time from an event's record to its write to a viewer."""
        self._delivery_lag.observe(lag_s)

    # Webhooks

    def webhook(self, result: str, duration_s: float) -> None:
        """Count a try to tell a receiver: delivered, retried or failed."""
        self._webhook_tries.of(result).inc()
        self._webhook_durations.observe(duration_s)

    def webhooks_pending(self, number: int) -> None:
        """Show how many deliveries in the store are not over."""
        self._webhooks_pending.set(number)

    # The store

    def store_operation(self, name: str, duration_s: float) -> None:
        """Take the time of one call of the `JobStore`, by the name of its method."""
        self._store_operations.of(name).observe(duration_s)

    def store_error(self, operation: str, reason: str) -> None:
        """Count a call of the `JobStore` that failed: unavailable or locked."""
        self._store_errors.of(operation, reason).inc()

    def store_size(self, file: str, size_bytes: int) -> None:
        """Show how large a file of the embedded store is: database or wal."""
        self._store_sizes.of(file).set(size_bytes)

    def store_connections(self, state: str, number: int) -> None:
        """Show how many connections of the store are used or idle, or how many calls are waiting for one."""
        self._connections.of(state).set(number)

    def store_in_use(self, backend: str, *, schema: str) -> None:
        """Say which store is in use, and at which schema version."""
        self._store_info.info({"backend": backend, "schema": schema})

    # The process

    def loop_lag(self, late_s: float) -> None:
        """Take how late the event loop ran a timer."""
        self._loop_lag.observe(late_s)

    def background(self, task: str) -> "Rounds":
        """Return the context to run each round of a background task in. `task` is a constant of the code."""
        self._tasks.add(task)
        return Rounds(task, done=self._rounds_done, failed=self._rounds_failed.of(task))

    def draining(self, now: bool) -> None:
        """Say whether this replica is shutting down."""
        self._draining.set(now)

    def logs_dropped(self, lines: int) -> None:
        """Count log lines that were given up. Called from any thread."""
        self._logs_dropped.inc(lines)

    # The page

    def render(self, accept: str | None) -> tuple[bytes, str]:
        """Return the exposition and its content type. It takes milliseconds: a loop calls `scrape`."""
        return self._exposition.render(accept)

    async def scrape(self, accept: str | None) -> tuple[bytes, str]:
        """Return the exposition, made off the loop, one at a time and at most once a second."""
        return await self._exposition.scrape(accept)


class Rounds:
    """`with` one round of a background task: notes its end, or that it raised. Being cancelled is neither."""

    __slots__ = ("_done", "_failed", "_task")

    def __init__(self, task: str, *, done: Family[Gauge], failed: Counter) -> None:
        self._task = task
        self._done = done
        self._failed = failed

    def __enter__(self) -> None:
        """Begin a round."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._done.of(self._task).set_to_current_time()
        elif isinstance(error, Exception):
            self._failed.inc()


async def watch_loop(metrics: Metrics) -> None:
    """Measure the running loop's lag until cancelled. The caller owns the task."""
    async for late_s in every(LOOP_PROBE_S):
        metrics.loop_lag(late_s)


def _bare(name: str, offered: Sequence[str]) -> str:
    bare = name.rpartition("/")[2]
    return bare if bare in offered else name

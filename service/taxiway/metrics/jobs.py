"""What one event of a job changes in the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from taxiway import outcomes
from taxiway.artifacts import spooled
from taxiway.events import Event
from taxiway.facts import Delivered, Seen, Stored
from taxiway.jobs import Attempt, AttemptStatus, CreditsSource, Job, Phase
from taxiway.metrics import words
from taxiway.metrics.families import Families


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one unfinished job adds to the gauges."""

    phase: Phase
    microusd: int
    model: str
    tasks: int


class JobMetrics:
    """Reads events. Owned by `Metrics`.

    Gauges are kept by what each unfinished job adds to them, so that they hold whatever became of an event
    in between, and end at zero. `canonical` gives the one label of a model's public names.
    """

    def __init__(self, families: Families, *, canonical: Mapping[str, str]) -> None:
        self._canonical = canonical
        self._submitted = families.counters("jobs_submitted_total")
        self._finished = families.counters("jobs_finished_total")
        self._durations = families.histograms("job_duration_seconds")
        self._phases = families.histograms("job_phase_duration_seconds")
        self._unknown = families.counter("job_submissions_unknown_total")
        self._kept = families.counters("images_stored_total")
        self._polls = families.histogram("polls_per_job")
        self._cost = families.counters("cost_usd_total")
        self._wasted = families.counters("cost_wasted_usd_total")
        self._credits = families.counters("upstream_credits_spent_total")
        self._tasks = families.gauges("upstream_slots_in_use")
        self._shares: dict[str, Share] = {}
        # Plain numbers, read when somebody scrapes: a job goes through the gauges five times.
        self._reserved_microusd = 0
        families.gauge("cost_reserved_usd").set_function(
            lambda: self._reserved_microusd / 1_000_000
        )
        self._by_phase = dict.fromkeys(Phase, 0)
        in_progress = families.gauges("jobs_in_progress")
        for phase in Phase:
            in_progress.of(phase).set_function(partial(self._by_phase.__getitem__, phase))
        self._by_model: dict[str, int] = {}

    def observe(self, event: Event) -> None:
        """Count what an event tells."""
        if event.tick and event.job.id in self._shares:
            return  # nothing that is counted moves with the progress, and most events are ticks
        if event.before is None and event.fact is None:
            self._submitted.of(self.model(event.job)).inc()
        if lost := outcomes.lost(event):
            self._unknown.inc(len(lost))
        if isinstance(event.fact, Stored):
            for kept in event.fact.images:
                self._kept.of("failed" if kept.archived is None else "stored").inc()
        if isinstance(event.fact, Delivered):
            # What came with its bytes was kept before it was told of; a spool is no archive.
            names = (output.archived for output in event.fact.outputs)
            self._kept.of("stored").inc(sum(n is not None and spooled(n) is None for n in names))
        if event.job.final:
            self._end(event.job)
        self.hold(event.job)

    def hold(self, job: Job) -> None:
        """Let the gauges show a job as it stands now: an event's, or one taken over from an earlier owner."""
        if job.phase is None:
            self.drop(job.id)
            return
        share = Share(
            phase=job.phase, microusd=job.microusd or 0, model=self.model(job), tasks=_tasks(job)
        )
        if share == self._shares.get(job.id):
            return
        self.drop(job.id)
        self._shares[job.id] = share
        self._add(share, 1)

    def drop(self, job_id: str) -> None:
        """Take a job out of the gauges: it has ended, or somebody else works on it now."""
        share = self._shares.pop(job_id, None)
        if share is not None:
            self._add(share, -1)

    def _add(self, share: Share, sign: int) -> None:
        self._by_phase[share.phase] += sign
        self._reserved_microusd += sign * share.microusd
        if share.tasks:
            if share.model not in self._by_model:
                self._by_model[share.model] = 0
                tasks = partial(self._by_model.__getitem__, share.model)
                self._tasks.of(share.model).set_function(tasks)
            self._by_model[share.model] += sign * share.tasks

    def model(self, job: Job) -> str:
        """Return the one name that a job's model is counted under."""
        return self._canonical.get(job.request.model, words.OTHER)

    def _end(self, job: Job) -> None:
        model = self.model(job)
        # From a slow bucket or a failure straight to the trace of a job that is in it.
        trace = {"trace_id": job.trace_id} if job.trace_id else None
        self._finished.of(model, job.status, outcomes.reason(job)).inc(exemplar=trace)
        self._durations.of(model, job.status).observe(outcomes.duration_s(job), exemplar=trace)
        for phase, spent_s in outcomes.phase_times_s(job).items():
            self._phases.of(phase).observe(spent_s)
        if polls := outcomes.polls(job):
            self._polls.observe(polls)
        for attempt in job.attempts:
            self._book(job, attempt)

    def _book(self, job: Job, attempt: Attempt) -> None:
        model, dollars = self.model(job), (attempt.microusd or 0) / 1_000_000
        if not dollars and not attempt.credits:
            return
        charged = attempt.credits_source is CreditsSource.CHARGED
        basis = "charged" if charged else "estimated"
        self._credits.of(model, basis).inc(attempt.credits or 0)
        self._cost.of(model, basis).inc(dollars)
        if attempt.status is not AttemptStatus.COMPLETED:
            why = outcomes.attempt_reason(attempt)
            self._wasted.of(model, why, basis).inc(dollars)


def _tasks(job: Job) -> int:
    """Return how many tasks of a job the provider has taken and neither ended nor held back."""
    return sum(
        attempt.status is AttemptStatus.IN_PROGRESS
        and attempt.upstream_id is not None
        and attempt.phase is not Phase.THROTTLED
        for attempt in job.attempts
    )


def throttled(event: Event) -> bool:
    """Whether the provider has just begun to hold a task back."""
    fact = event.fact
    if not isinstance(fact, Seen) or fact.phase is not Phase.THROTTLED or event.before is None:
        return False
    return event.before.attempts[fact.attempt].phase is not Phase.THROTTLED

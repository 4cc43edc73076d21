"""What a job changes in the numbers: once in everything that it is a part of."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from taxiway.events import Event
from taxiway.facts import (
    CancelRequested,
    Delivered,
    Fact,
    Failed,
    Output,
    Seen,
    Stopped,
    SubmissionLost,
    Submitted,
    Submitting,
)
from taxiway.jobs import GenerationRequest, Job, JobError, JobStatus, Part, Phase, Plan
from taxiway.metrics import Metrics
from taxiway.transitions import accept, advance

OUTPUT = Output(url="https://cdn/1.png", size=None, content_type="image/png")
REQUEST = GenerationRequest(model="gen4", prompt="A lighthouse.")
ONE = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))
TWO = Plan(size="1920x1080", parts=(Part(images=1, credits=8), Part(images=1, credits=8)))
UNPRICED = Plan(size=None, parts=(Part(images=1, credits=None),))

Series = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture
def metrics() -> Metrics:
    """The numbers of a service that offers one model."""
    return Metrics(["gen4"], version="1.2.3")


def accepted(plan: Plan = ONE, *, job_id: str = "job_1") -> Job:
    """A job accepted at 100."""
    return accept(REQUEST, plan, id=job_id, at=100.0, deadline_at=700.0)


def told(job: Job, *facts: Fact) -> Iterator[Event]:
    """The events of a job: its acceptance, then one per second for each fact."""
    yield Event(job=job, at=100.0)
    for at, fact in enumerate(facts, start=101):
        before, job = job, advance(job, fact, at=at)
        yield Event(job=job, before=before, fact=fact, at=at)


def observed(metrics: Metrics, job: Job, *facts: Fact) -> None:
    for event in told(job, *facts):
        metrics.observe(event)


def submitting(attempt: int = 0) -> Submitting:
    return Submitting(
        attempt=attempt, part=attempt, deployment="east", provider="runwayml", model="gen4_image"
    )


def submitted(attempt: int = 0) -> Submitted:
    return Submitted(attempt=attempt, upstream_id=f"task-{attempt}", credits=7)


def seen(phase: Phase, progress: float | None = None, *, attempt: int = 0) -> Seen:
    return Seen(attempt=attempt, phase=phase, progress=progress)


def delivered(attempt: int = 0) -> Delivered:
    return Delivered(attempt=attempt, outputs=(OUTPUT,), credits=8, polls=3)


def failed(code: str, *, attempt: int = 0, charge: int | None = 0) -> Failed:
    error = JobError(code=code, message="It failed.")
    return Failed(attempt=attempt, error=error, credits=charge, polls=2)


def stopped(status: JobStatus, code: str) -> Stopped:
    return Stopped(status=status, error=JobError(code=code, message="It was stopped."))


def series(metrics: Metrics) -> Mapping[Series, float]:
    """Every series of ours, buckets apart, with its value."""
    body, _ = metrics.render(None)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name.startswith("taxiway_") and not sample.name.endswith("_bucket")
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return series(metrics).get((name, tuple(sorted(labels.items()))))


def changes(metrics: Metrics, before: Mapping[Series, float]) -> Mapping[str, float]:
    """What has been added to which series, written as they are in PromQL."""
    return {
        name + (f"{{{','.join(f'{k}={v}' for k, v in labels)}}}" if labels else ""): added
        for (name, labels), now in series(metrics).items()
        if (added := round(now - before.get((name, labels), 0.0), 6))
    }


def test_a_completed_job(metrics: Metrics) -> None:
    """A job that completes is counted once in everything that it is a part of."""
    before = series(metrics)
    observed(
        metrics,
        accepted(),
        submitting(),
        submitted(),
        seen(Phase.PROVIDER_QUEUE),
        seen(Phase.RUNNING, 0.2),
        seen(Phase.RUNNING, 0.6),
        delivered(),
    )

    assert changes(metrics, before) == {
        "taxiway_jobs_submitted_total{model=gen4}": 1,
        "taxiway_jobs_finished_total{model=gen4,outcome=completed,reason=none}": 1,
        "taxiway_job_duration_seconds_count{model=gen4,outcome=completed}": 1,
        "taxiway_job_duration_seconds_sum{model=gen4,outcome=completed}": 6,
        "taxiway_job_phase_duration_seconds_count{phase=queued}": 1,
        "taxiway_job_phase_duration_seconds_sum{phase=queued}": 1,
        "taxiway_job_phase_duration_seconds_count{phase=submitting}": 1,
        "taxiway_job_phase_duration_seconds_sum{phase=submitting}": 1,
        "taxiway_job_phase_duration_seconds_count{phase=provider_queue}": 1,
        "taxiway_job_phase_duration_seconds_sum{phase=provider_queue}": 2,
        "taxiway_job_phase_duration_seconds_count{phase=running}": 1,
        "taxiway_job_phase_duration_seconds_sum{phase=running}": 2,
        "taxiway_polls_per_job_count": 1,
        "taxiway_polls_per_job_sum": 3,
        "taxiway_cost_usd_total{basis=charged,model=gen4}": 0.08,
        "taxiway_upstream_credits_spent_total{basis=charged,model=gen4}": 8,
    }


@pytest.mark.parametrize(
    ("facts", "outcome", "reason"),
    [
        pytest.param(
            [failed("content_policy_violation")], "failed", "moderation_input", id="moderated"
        ),
        pytest.param([failed("provider_failed")], "failed", "upstream_error", id="failed there"),
        pytest.param(
            [stopped(JobStatus.FAILED, "job_timeout")], "failed", "deadline", id="too late"
        ),
        pytest.param(
            [stopped(JobStatus.CANCELLED, "job_cancelled")],
            "cancelled",
            "cancelled",
            id="cancelled",
        ),
        pytest.param(
            [stopped(JobStatus.FAILED, "a code that nobody knows")],
            "failed",
            "internal",
            id="a code of no table",
        ),
    ],
)
def test_how_jobs_end(metrics: Metrics, facts: list[Fact], outcome: str, reason: str) -> None:
    """A finished job is counted under its status and the reason of its error's code."""
    labels = {"model": "gen4", "outcome": outcome, "reason": reason}
    born = value(metrics, "taxiway_jobs_finished_total", **labels)
    observed(metrics, accepted(), submitting(), submitted(), *facts)

    assert born == 0
    assert value(metrics, "taxiway_jobs_finished_total", **labels) == 1


@pytest.mark.parametrize(
    ("facts", "money"),
    [
        pytest.param([failed("provider_failed", charge=0)], {}, id="a failure that cost nothing"),
        pytest.param(
            [failed("content_policy_violation", charge=5)],
            {
                "cost_usd_total{basis=charged,model=gen4}": 0.05,
                "cost_wasted_usd_total{basis=charged,model=gen4,reason=moderation_input}": 0.05,
                "upstream_credits_spent_total{basis=charged,model=gen4}": 5,
            },
            id="a failure that was charged",
        ),
        pytest.param(
            [stopped(JobStatus.CANCELLED, "job_cancelled")],
            {
                "cost_usd_total{basis=estimated,model=gen4}": 0.07,
                "cost_wasted_usd_total{basis=estimated,model=gen4,reason=cancelled}": 0.07,
                "upstream_credits_spent_total{basis=estimated,model=gen4}": 7,
            },
            id="cancelled: nobody says what it cost",
        ),
    ],
)
def test_what_ended_jobs_cost(
    metrics: Metrics, facts: list[Fact], money: Mapping[str, float]
) -> None:
    """What the provider reported and what is only estimated are booked apart."""
    before = series(metrics)
    observed(metrics, accepted(), submitting(), submitted(), *facts)
    booked = {
        name.removeprefix("taxiway_"): added
        for name, added in changes(metrics, before).items()
        if "cost" in name or "credits" in name
    }

    assert money == booked


def test_waste_within_a_completed_job(metrics: Metrics) -> None:
    """An attempt that was charged and brought nothing is waste, also where its sibling brought the image."""
    observed(
        metrics,
        accepted(TWO),
        *(submitting(0), submitted(0), submitting(1), submitted(1)),
        *(failed("provider_failed", attempt=0, charge=8), delivered(1)),
    )
    wasted = value(
        metrics,
        "taxiway_cost_wasted_usd_total",
        model="gen4",
        reason="upstream_error",
        basis="charged",
    )

    assert value(metrics, "taxiway_cost_usd_total", model="gen4", basis="charged") == 0.16
    assert wasted == 0.08


def test_a_stopped_sibling_of_kept_images(metrics: Metrics) -> None:
    """A deadline that finds one image of two keeps it; the other attempt is waste by the deadline."""
    observed(
        metrics,
        accepted(TWO),
        *(submitting(0), submitted(0), submitting(1), submitted(1), delivered(0)),
        stopped(JobStatus.FAILED, "job_timeout"),
    )
    wasted = value(
        metrics,
        "taxiway_cost_wasted_usd_total",
        model="gen4",
        reason="deadline",
        basis="estimated",
    )

    assert wasted == 0.07


def test_a_lost_submission_is_counted(metrics: Metrics) -> None:
    """A submission of unknown outcome is counted by itself: somebody may have to look."""
    lost = SubmissionLost(attempt=0, error=JobError(code="submission_unknown", message="Lost."))
    observed(metrics, accepted(), submitting(), lost)

    assert value(metrics, "taxiway_job_submissions_unknown_total") == 1


def test_a_stop_that_meets_a_submission_is_a_lost_one(metrics: Metrics) -> None:
    """A job stopped between a submission and its answer leaves the same doubt."""
    observed(metrics, accepted(), submitting(), stopped(JobStatus.CANCELLED, "job_cancelled"))
    wasted = value(
        metrics,
        "taxiway_cost_wasted_usd_total",
        model="gen4",
        reason="submission_unknown",
        basis="estimated",
    )

    assert value(metrics, "taxiway_job_submissions_unknown_total") == 1
    assert wasted == 0.08


def test_throttling_is_counted_once_per_time(metrics: Metrics) -> None:
    """A task that the provider holds back counts when it begins, not with every look."""
    throttled = seen(Phase.THROTTLED)
    running = seen(Phase.RUNNING, 0.5)
    observed(
        metrics, accepted(), submitting(), submitted(), throttled, throttled, running, throttled
    )
    metrics.upstream("submit", "429", 0.1)

    assert value(metrics, "taxiway_upstream_throttles_total", source="task_throttled") == 2
    assert value(metrics, "taxiway_upstream_throttles_total", source="http_429") == 1


def test_unfinished_jobs_are_shown_by_phase(metrics: Metrics) -> None:
    """The gauges follow a job from phase to phase, and say what it may still cost."""
    shown = []
    for event in told(accepted(), submitting(), submitted(), seen(Phase.RUNNING, 0.5), delivered()):
        metrics.observe(event)
        phases = [p for p in Phase if value(metrics, "taxiway_jobs_in_progress", phase=p) == 1]
        shown.append((phases, value(metrics, "taxiway_cost_reserved_usd")))

    assert shown == [
        ([Phase.QUEUED], 0.08),
        ([Phase.SUBMITTING], 0.08),
        ([Phase.PROVIDER_QUEUE], 0.07),
        ([Phase.RUNNING], 0.07),
        ([], 0.0),
    ]


def test_an_adopted_job_is_shown_at_once(metrics: Metrics) -> None:
    """A job taken over counts among the unfinished, and not again among the accepted."""
    *_, last = told(accepted(), submitting(), submitted(), seen(Phase.RUNNING, 0.5))
    before = series(metrics)
    metrics.recovered(last.job, "lease_expired")
    running = changes(metrics, before)
    metrics.observe(
        Event(
            job=advance(last.job, delivered(), at=110.0),
            before=last.job,
            fact=delivered(),
            at=110.0,
        )
    )

    assert running == {
        "taxiway_jobs_in_progress{phase=running}": 1,
        "taxiway_cost_reserved_usd": 0.07,
        "taxiway_upstream_slots_in_use{model=gen4}": 1,
        "taxiway_job_recoveries_total{cause=lease_expired}": 1,
    }
    assert value(metrics, "taxiway_jobs_in_progress", phase="running") == 0
    assert value(metrics, "taxiway_cost_reserved_usd") == 0


@pytest.mark.parametrize(
    ("leave", "counted"),
    [
        pytest.param(
            Metrics.lease_lost, {"taxiway_job_lease_losses_total": 1.0}, id="to who took it"
        ),
        pytest.param(Metrics.released, {}, id="by handing it over"),
    ],
)
def test_a_job_that_leaves_this_replica_is_shown_no_more(
    metrics: Metrics, leave: Callable[[Metrics, Job], None], counted: Mapping[str, float]
) -> None:
    """A job that goes on elsewhere leaves the gauges as they were, and a lost lease is counted."""
    before = series(metrics)
    *_, last = told(accepted(), submitting(), submitted(), seen(Phase.RUNNING, 0.5))
    metrics.recovered(last.job, "restart")
    leave(metrics, last.job)

    assert changes(metrics, before) == {
        "taxiway_job_recoveries_total{cause=restart}": 1,
        **counted,
    }


def test_slots_in_use_are_tasks_that_were_bought(metrics: Metrics) -> None:
    """A task takes a slot from its purchase to its end, unless it is held back; two parts may take two."""
    shown = []
    bought = (submitting(0), submitted(0), submitting(1), submitted(1))
    held = (seen(Phase.THROTTLED, attempt=1), seen(Phase.RUNNING, attempt=1))
    for event in told(accepted(TWO), *bought, *held, delivered(0), delivered(1)):
        metrics.observe(event)
        shown.append(value(metrics, "taxiway_upstream_slots_in_use", model="gen4"))

    assert shown == [0, 0, 1, 1, 2, 1, 2, 1, 0]


@pytest.mark.parametrize(
    ("trace_id", "exemplars"),
    [
        pytest.param("4bf92f3577b34da6a3ce929d0e0e4736", 2, id="traced"),
        pytest.param(None, 0, id="not traced"),
    ],
)
def test_a_slow_bucket_leads_to_a_trace(
    metrics: Metrics, trace_id: str | None, exemplars: int
) -> None:
    """The duration and the end of a traced job carry its trace as an exemplar, in OpenMetrics."""
    job = replace(accepted(), trace_id=trace_id)
    observed(metrics, job, submitting(), submitted(), delivered())
    opened, _ = metrics.render("application/openmetrics-text; version=1.0.0")
    plain, _ = metrics.render(None)

    assert opened.decode().count(f'# {{trace_id="{trace_id}"}}') == exemplars
    assert b"trace_id" not in plain


def test_a_job_of_unknown_price_reserves_nothing(metrics: Metrics) -> None:
    """What nobody can price is not in the sum of what may be spent; it still is a job."""
    observed(metrics, accepted(UNPRICED), submitting(), CancelRequested())

    assert value(metrics, "taxiway_jobs_in_progress", phase="submitting") == 1
    assert value(metrics, "taxiway_cost_reserved_usd") == 0


def test_gauges_return_to_zero(metrics: Metrics) -> None:
    """However the lives of many jobs interleave, the gauges are empty when all have ended."""
    ends: list[Fact] = [delivered(), failed("provider_failed")] * 20
    running = seen(Phase.RUNNING, 0.5)
    lives = [
        list(told(accepted(job_id=f"job_{number}"), submitting(), submitted(), running, end))
        for number, end in enumerate(ends)
    ]
    draw = random.Random(7)
    while lives:
        life = draw.choice(lives)
        metrics.observe(life.pop(0))
        if not life:
            lives.remove(life)
    phases = [value(metrics, "taxiway_jobs_in_progress", phase=phase) for phase in Phase]

    assert phases == [0.0] * len(Phase)
    assert value(metrics, "taxiway_cost_reserved_usd") == 0

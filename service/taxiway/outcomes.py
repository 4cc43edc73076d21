"""What became of a job, in the terms that logs and metrics share, so that the two cannot disagree."""

from collections.abc import Mapping
from itertools import pairwise

from taxiway.errors import Reason, reason_of
from taxiway.events import Event
from taxiway.facts import Submitting
from taxiway.jobs import Attempt, AttemptStatus, Job, JobStatus, Phase
from taxiway.parts import history

#: What callers brought about, the money that was theirs to spend included: out of every success rate, and never an
#: operator's alarm.
USERS_DOING = frozenset(
    {
        Reason.CANCELLED,
        Reason.MODERATION_INPUT,
        Reason.MODERATION_OUTPUT,
        Reason.INVALID_INPUT,
        Reason.ASSET,
        Reason.BUDGET,
    }
)


def reason(job: Job) -> Reason:
    """Return why a finished job did not complete; `NONE` for one that did."""
    if job.status is JobStatus.COMPLETED:
        return Reason.NONE
    if job.status is JobStatus.CANCELLED:
        return Reason.CANCELLED
    if job.error is None:
        return Reason.INTERNAL
    return reason_of(job.error.code, job.error.failure_code)


def phase_times_s(job: Job) -> Mapping[Phase, float]:
    """Return the seconds a job has spent in each phase it has left, in the order of its first visit.

    A phase that was entered more than once, as by a refused submission, counts with its sum.
    """
    times: dict[Phase, float] = {}
    for moment, following in pairwise(job.timeline):
        if moment.phase is not None:
            # Two owners' clocks may differ; nobody has spent less than no time.
            spent_s = max(0.0, following.at - moment.at)
            times[moment.phase] = times.get(moment.phase, 0.0) + spent_s
    return times


def duration_s(job: Job) -> float:
    """Return the seconds from a job's acceptance to its end; 0 for one that has not ended."""
    return 0.0 if job.finished_at is None else max(0.0, job.finished_at - job.created_at)


def polls(job: Job) -> int:
    """Return how many polls the ended attempts of a job report."""
    return sum(attempt.polls for attempt in job.attempts)


def refusals(job: Job) -> int:
    """Return how often the provider turned a submission of this job away."""
    return sum(attempt.refusals for attempt in job.attempts)


def attempt_reason(attempt: Attempt) -> Reason:
    """Return why an ended attempt brought no image."""
    if attempt.error is None:  # stopped before its submission was answered
        return Reason.SUBMISSION_UNKNOWN
    return reason_of(attempt.error.code, attempt.error.failure_code)


def hop(event: Event) -> Reason | None:
    """Return why an image goes on under another name with this event; None where it does not."""
    fact, before = event.fact, event.before
    if not isinstance(fact, Submitting) or before is None:
        return None
    earlier = history(before, fact.part)
    name = next((attempt.group for attempt in reversed(earlier)), before.request.model)
    if fact.group in ("", name):
        return None
    error = earlier[-1].error if earlier else None
    return (
        Reason.UPSTREAM_UNREACHABLE if error is None else reason_of(error.code, error.failure_code)
    )


def lost(event: Event) -> tuple[Attempt, ...]:
    """Return the attempts of which, since this event, nobody knows whether they bought a task."""
    if not any(a.status is AttemptStatus.UNKNOWN for a in event.job.attempts):
        return ()  # as nearly always
    before = event.before.attempts if event.before else ()
    known = {a.index for a in before if a.status is AttemptStatus.UNKNOWN}
    unknown = (a for a in event.job.attempts if a.status is AttemptStatus.UNKNOWN)
    return tuple(attempt for attempt in unknown if attempt.index not in known)

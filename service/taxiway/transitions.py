"""The one place where a job changes.

`advance` takes a job and a fact and returns the job after it. It is pure: the journal applies it, stores the
result and tells it. A fact that changes nothing returns the very same job; a fact that moves only the progress
returns a job of the same revision.
"""

from typing import assert_never

from taxiway.attempts import charged, closed, given_up, opened, sent
from taxiway.facts import (
    CancelRequested,
    Delivered,
    Fact,
    Failed,
    GivenUp,
    Kept,
    Refused,
    Seen,
    Stopped,
    Stored,
    SubmissionLost,
    Submitted,
    Submitting,
    Waiting,
)
from taxiway.frozen import replace
from taxiway.jobs import (
    Attempt,
    AttemptStatus,
    CreditsSource,
    GenerationRequest,
    Image,
    Job,
    JobError,
    JobStatus,
    Moment,
    Phase,
    Plan,
    Policy,
)
from taxiway.parts import all_over, first_error, phase_of, planned_anew, progress_of, unstored


def accept(
    request: GenerationRequest,
    plan: Plan,
    *,
    id: str,  # noqa: A002 - it is the job's id
    at: float,
    deadline_at: float,
    policy: Policy | None = None,
    scope: str = "",
    trace_id: str | None = None,
    parent_span_id: str | None = None,
    trace_flags: str | None = None,
    request_id: str | None = None,
) -> Job:
    """Return a new job, revision 1, queued: nothing has been sent to anybody."""
    return Job(
        id=id,
        revision=1,
        status=JobStatus.QUEUED,
        phase=Phase.QUEUED,
        request=request,
        size=plan.size,
        parts=plan.parts,
        dropped=plan.dropped,
        policy=policy or Policy(),
        created_at=at,
        deadline_at=deadline_at,
        scope=scope,
        timeline=(Moment(at=at, status=JobStatus.QUEUED, phase=Phase.QUEUED),),
        trace_id=trace_id,
        parent_span_id=parent_span_id,
        trace_flags=trace_flags,
        request_id=request_id,
    )


def advance(job: Job, fact: Fact, *, at: float) -> Job:  # noqa: C901 - one case for each fact
    """Return the job after this fact. Late news, about a finished job or a finished attempt, changes nothing.

    Raises `ValueError` for a submission that would hide another part's.
    """
    if job.final or _aboutclosed(job, fact):
        return job
    match fact:
        case Submitting():
            return _submitting(job, fact, at)
        case Submitted():
            return _submitted(job, fact, at)
        case Refused():
            return _refused(job, fact, at)
        case Seen():
            return _seen(job, fact, at)
        case Delivered():
            return _delivered(job, fact, at)
        case Failed():
            return _failed(job, fact, at)
        case SubmissionLost():
            return _submission_lost(job, fact, at)
        case Waiting():
            return _waiting(job, fact)
        case GivenUp():
            return _given_up(job, fact, at)
        case Stored():
            return _stored(job, fact, at)
        case CancelRequested():
            return _cancel_requested(job, at)
        case Stopped():
            return _stopped(job, fact, at)
        case _:
            assert_never(fact)


#: Facts that name no attempt.
_ABOUT_THE_JOB = (CancelRequested, Stopped, Stored, Waiting, GivenUp)


def _aboutclosed(job: Job, fact: Fact) -> bool:
    """Whether the fact is about an attempt that has ended: the same delivery told twice is one delivery."""
    if isinstance(fact, _ABOUT_THE_JOB):
        return False
    if fact.attempt >= len(job.attempts):
        return False
    return job.attempts[fact.attempt].status is not AttemptStatus.IN_PROGRESS


def _submitting(job: Job, fact: Submitting, at: float) -> Job:
    if fact.plan is not None:
        job = planned_anew(job, fact.part, fact.plan)
    part = job.parts[fact.part]
    reopened = fact.attempt < len(job.attempts)
    attempt = job.attempts[fact.attempt] if reopened else opened(job, fact)
    if attempt.part != fact.part:
        # A mistake of ours, and a dear one: the second task would hide the first.
        raise ValueError(f"attempt {attempt.index} is of part {attempt.part}, not {fact.part}")
    attempt = sent(attempt, fact, part)
    if reopened:
        return _settle(_with(job, attempt), at)
    attempts = (*job.attempts, attempt)
    return _settle(replace(job, attempts=attempts, started_at=job.started_at or at), at)


def _submitted(job: Job, fact: Submitted, at: float) -> Job:
    attempt = job.attempts[fact.attempt]
    known = fact.credits is not None
    taken = replace(
        attempt,
        phase=Phase.PROVIDER_QUEUE,
        upstream_id=fact.upstream_id,
        submitted_at=at,
        credits=fact.credits if known else attempt.credits,
        credits_source=CreditsSource.ESTIMATED if known else attempt.credits_source,
    )
    return _settle(_with(job, taken), at)


def _refused(job: Job, fact: Refused, at: float) -> Job:
    attempt = job.attempts[fact.attempt]
    if fact.error is None:
        return _settle(
            _with(job, replace(attempt, phase=Phase.QUEUED, refusals=attempt.refusals + 1)), at
        )
    turned_away = replace(
        attempt,
        status=AttemptStatus.REFUSED,
        refusals=attempt.refusals + 1,
        finished_at=at,
        credits=0,
        price_microusd=None,
        credits_source=CreditsSource.CHARGED,
        error=fact.error,
        again=fact.again,
    )
    return _settle(_with(job, turned_away), at)


def _waiting(job: Job, fact: Waiting) -> Job:
    if job.phase is not Phase.QUEUED:
        return job
    # Another key's first job may go before one's tenth; but what a viewer has seen does not rise.
    position = min(fact.position, job.queue_position or fact.position)
    return job if position == job.queue_position else replace(job, queue_position=position)


def _given_up(job: Job, fact: GivenUp, at: float) -> Job:
    part = job.parts[fact.part]
    if part.error is not None:
        return job
    parts = list(job.parts)
    parts[fact.part] = replace(part, error=fact.error)
    attempts = tuple(
        given_up(attempt, fact, at) if attempt.part == fact.part else attempt
        for attempt in job.attempts
    )
    return _settle(replace(job, parts=tuple(parts), attempts=attempts), at)


def _seen(job: Job, fact: Seen, at: float) -> Job:
    attempt = job.attempts[fact.attempt]
    # The provider's figure may fall; what a viewer has seen does not.
    progress = max(attempt.progress, min(fact.progress or 0.0, 1.0))
    moved = progress > attempt.progress
    if fact.phase is attempt.phase and not moved:
        return job
    seen = replace(
        attempt,
        phase=fact.phase,
        progress=progress,
        seen_at=at if moved else attempt.seen_at,
        running_at=attempt.running_at or (at if fact.phase is Phase.RUNNING else None),
    )
    if fact.phase is not attempt.phase:
        return _settle(_with(job, seen), at)
    attempts = _put(job, seen)
    return replace(job, attempts=attempts, progress=progress_of(job, attempts))


def _delivered(job: Job, fact: Delivered, at: float) -> Job:
    attempt = charged(job.attempts[fact.attempt], fact.credits, fact.price_microusd)
    done = replace(
        attempt,
        status=AttemptStatus.COMPLETED,
        phase=Phase.RUNNING,
        progress=1.0,
        upstream_id=attempt.upstream_id or fact.upstream_id,
        submitted_at=attempt.submitted_at or fact.submitted_at,
        finished_at=at,
        polls=fact.polls,
        tokens=fact.tokens,
    )
    first = len(job.images)
    images = tuple(
        Image(
            index=first + i,
            attempt=attempt.index,
            url=output.url,
            size=output.size or job.parts[attempt.part].size or job.size,
            content_type=output.content_type,
            keep=fact.keep and output.archived is None,
            archived=output.archived,
            digest=output.digest,
            length_bytes=output.length_bytes,
            revised_prompt=output.revised_prompt,
        )
        for i, output in enumerate(fact.outputs)
    )
    return _settle(replace(_with(job, done), images=(*job.images, *images)), at)


def _failed(job: Job, fact: Failed, at: float) -> Job:
    attempt = job.attempts[fact.attempt]
    broken = replace(
        charged(attempt, fact.credits, fact.price_microusd),
        status=AttemptStatus.FAILED,
        upstream_id=attempt.upstream_id or fact.upstream_id,
        submitted_at=attempt.submitted_at or fact.submitted_at,
        finished_at=at,
        error=fact.error,
        failure=fact.failure,
        again=fact.again,
        polls=fact.polls,
    )
    return _settle(_with(job, broken), at)


def _submission_lost(job: Job, fact: SubmissionLost, at: float) -> Job:
    lost = replace(
        job.attempts[fact.attempt],
        status=AttemptStatus.UNKNOWN,
        finished_at=at,
        error=fact.error,
        again=fact.again,
    )
    return _settle(_with(job, lost), at)


def _stored(job: Job, fact: Stored, at: float) -> Job:
    if job.phase is not Phase.STORING:
        return job
    seen = {kept.image: kept for kept in fact.images}
    images = tuple(_seen_closely(image, seen.get(image.index)) for image in job.images)
    return _finish(replace(job, images=images), at, status=JobStatus.COMPLETED, error=None)


def _seen_closely(image: Image, kept: Kept | None) -> Image:
    """Return an image with what its bytes say: the provider's word for size and type is only a word."""
    if kept is None:
        return replace(image, keep=False)
    return replace(
        image,
        keep=False,
        archived=kept.archived,
        size=kept.size or image.size,
        content_type=kept.content_type or image.content_type,
        length_bytes=kept.length_bytes,
        digest=kept.digest,
    )


def _cancel_requested(job: Job, at: float) -> Job:
    if job.cancel_requested_at is not None:
        return job
    return replace(job, revision=job.revision + 1, cancel_requested_at=at, queue_position=None)


def _stopped(job: Job, fact: Stopped, at: float) -> Job:
    attempts = tuple(closed(attempt, fact, at) for attempt in job.attempts)
    # A deadline that finds finished images delivers them: they are paid for.
    completed = bool(job.images) and fact.status is JobStatus.FAILED
    ended = replace(job, attempts=attempts)
    if completed and fact.keep and unstored(job):
        return _stamp(
            ended,
            at,
            status=JobStatus.IN_PROGRESS,
            phase=Phase.STORING,
            progress=ended.progress,
            size=ended.size,
        )
    return _finish(
        ended,
        at,
        status=JobStatus.COMPLETED if completed else fact.status,
        error=None if completed else fact.error,
    )


def _with(job: Job, attempt: Attempt) -> Job:
    return replace(job, attempts=_put(job, attempt))


def _put(job: Job, attempt: Attempt) -> tuple[Attempt, ...]:
    """Return the attempts of a job with one of them as it is now."""
    attempts = list(job.attempts)
    attempts[attempt.index] = attempt
    return tuple(attempts)


def _settle(job: Job, at: float) -> Job:
    """Return the job at its next revision: in progress, or at its end when every part has come to one."""
    over = all_over(job)
    if over and not unstored(job):
        error = None if job.images else first_error(job)
        status = JobStatus.COMPLETED if job.images else JobStatus.FAILED
        return _finish(job, at, status=status, error=error)
    phase = Phase.STORING if over else phase_of(job)
    return _stamp(
        job,
        at,
        status=JobStatus.IN_PROGRESS,
        phase=phase,
        progress=progress_of(job, job.attempts),
        size=job.size,
    )


def _finish(job: Job, at: float, *, status: JobStatus, error: JobError | None) -> Job:
    return _stamp(
        job,
        at,
        status=status,
        phase=None,
        progress=100 if status is JobStatus.COMPLETED else job.progress,
        size=job.images[0].size or job.size if job.images else job.size,
        error=error,
    )


def _stamp(
    job: Job,
    at: float,
    *,
    status: JobStatus,
    phase: Phase | None,
    progress: int,
    size: str | None,
    error: JobError | None = None,
) -> Job:
    """Return the job at its next revision. All at once: a copy less is a copy saved for every event."""
    timeline = job.timeline
    if (status, phase) != (job.status, job.phase):
        timeline = (*timeline, Moment(at=at, status=status, phase=phase))
    return replace(
        job,
        revision=job.revision + 1,
        status=status,
        phase=phase,
        timeline=timeline,
        progress=progress,
        size=size,
        error=error,
        finished_at=at if phase is None else None,
        queue_position=None,
    )

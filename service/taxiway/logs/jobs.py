"""What is said about a job: an event becomes the lines that tell it, as names, levels and fields."""

from collections.abc import Iterator, Mapping

from taxiway import outcomes
from taxiway.errors import Reason, cut, reason_of
from taxiway.events import Event
from taxiway.facts import (
    Failed,
    Refused,
    Seen,
    Stored,
    SubmissionLost,
    Submitted,
    Submitting,
    Waiting,
)
from taxiway.jobs import Attempt, CreditsSource, Job, JobError, JobStatus, Phase
from taxiway.logs.names import Level, Name
from taxiway.logs.prompts import Prompts

Fields = dict[str, object]

Line = tuple[Name, Level, Fields]

_ENDS: Mapping[JobStatus, Name] = {
    JobStatus.COMPLETED: Name.JOB_COMPLETED,
    JobStatus.FAILED: Name.JOB_FAILED,
    JobStatus.CANCELLED: Name.JOB_CANCELLED,
}


class JobLines:
    """Tells events. It holds the way to speak of prompts, and whether anybody reads what is for debugging."""

    def __init__(self, prompts: Prompts, *, debug: bool) -> None:
        self._prompts = prompts
        self._debug = debug

    def of(self, event: Event) -> Iterator[Line]:
        """Yield the lines of an event; the one line of a job comes last."""
        job = event.job
        yield from self._besides(event)
        match event.fact:
            case None:
                yield Name.JOB_ACCEPTED, Level.INFO, self._accepted(job)
            case Submitted(attempt=index):
                yield Name.JOB_SUBMITTED, Level.INFO, _submitted(job, job.attempts[index])
            case Failed(attempt=index) | Refused(attempt=index, error=JobError()) if not job.final:
                attempt = job.attempts[index]
                fields = self._attempt_failed(job, attempt) | {"retried": attempt.again}
                level = _level(outcomes.attempt_reason(attempt))
                yield Name.JOB_ATTEMPT_FAILED, level, fields
            case Seen(attempt=index) if _first_throttled(event):
                fields = _job(job) | _attempt(job.attempts[index])
                yield Name.JOB_THROTTLED, Level.INFO, fields
            case fact if (
                self._debug and not job.final and not isinstance(fact, SubmissionLost | Waiting)
            ):
                yield Name.JOB_PROGRESSED, Level.DEBUG, _progressed(job)
        if job.final:
            yield self._ended(job)

    def _unstored(self, job: Job, stored: Stored) -> Iterator[Line]:
        for kept in stored.images:
            if kept.archived is None:
                attempt = job.attempts[job.images[kept.image].attempt]
                fields = {"image": kept.image, "error": kept.error}
                yield Name.IMAGE_NOT_STORED, Level.ERROR, _job(job) | _attempt(attempt) | fields

    def _besides(self, event: Event) -> Iterator[Line]:
        """Yield what an event tells beside the job's own step."""
        job, fact = event.job, event.fact
        for attempt in outcomes.lost(event):
            yield Name.JOB_SUBMISSION_UNKNOWN, Level.ERROR, self._attempt_failed(job, attempt)
        if isinstance(fact, Stored):
            yield from self._unstored(job, fact)
        if isinstance(fact, Submitting) and (reason := outcomes.hop(event)) is not None:
            attempt = job.attempts[fact.attempt]
            fields = _job(job) | _attempt(attempt)
            yield (
                Name.JOB_FALLBACK,
                Level.WARNING,
                {**fields, "group": attempt.group, "error_type": reason},
            )

    def _accepted(self, job: Job) -> Fields:
        return _job(job) | self._asked(job) | _cost(job, final=False)

    def _asked(self, job: Job) -> Fields:
        request = job.request
        return {
            "size": job.size,
            "n": request.n,
            "references": len(request.references),
            **self._prompts.fields(request.prompt),
        }

    def _attempt_failed(self, job: Job, attempt: Attempt) -> Fields:
        charged = attempt.credits_source is CreditsSource.CHARGED
        return {
            **_job(job),
            **_attempt(attempt),
            **_cost(attempt, final=charged),
            **self._why(job, attempt.error, attempt.failure),
            "error_type": outcomes.attempt_reason(attempt),
        }

    def _ended(self, job: Job) -> Line:
        failed = job.status is JobStatus.FAILED
        last = job.attempts[-1] if job.attempts else None
        fields = {
            **_job(job),
            **self._asked(job),
            "deployment": last and last.deployment,
            "provider_task_id": last and last.upstream_id,
            "duration_s": outcomes.duration_s(job),
            **{f"{phase}_s": spent_s for phase, spent_s in outcomes.phase_times_s(job).items()},
            "images": len(job.images),
            "attempts": len(job.attempts),
            "refusals": outcomes.refusals(job),
            "polls": outcomes.polls(job),
            **_cost(job, final=job.cost_final),
            **self._why(job, job.error, last.failure if last and failed else None),
        }
        return _ENDS[job.status], _level(outcomes.reason(job)) if failed else Level.INFO, fields

    def _why(self, job: Job, error: JobError | None, failure: str | None) -> Fields:
        if error is None:
            return {}
        prompt = job.request.prompt
        return {
            "error_type": reason_of(error.code, error.failure_code),
            "error_code": error.code,
            "error": self._prompts.without(prompt, error.message),
            "failure_code": error.failure_code,
            "provider_message": failure and self._prompts.without(prompt, cut(failure)),
        }


def _job(job: Job) -> Fields:
    return {
        "job_id": job.id,
        "trace_id": job.trace_id,
        "request_id": job.request_id,
        "operation": "generate_content",
        "provider": job.attempts[-1].provider if job.attempts else None,
        "model": job.request.model,
        "revision": job.revision,
    }


def _attempt(attempt: Attempt) -> Fields:
    return {
        "attempt": attempt.index,
        "deployment": attempt.deployment,
        "provider": attempt.provider,
        "provider_task_id": attempt.upstream_id,
    }


def _submitted(job: Job, attempt: Attempt) -> Fields:
    taken_at = attempt.submitted_at or job.created_at
    return {
        **_job(job),
        **_attempt(attempt),
        "wait_s": max(0.0, taken_at - job.created_at),
        "refusals": attempt.refusals,
        **_cost(attempt, final=False),
    }


def _progressed(job: Job) -> Fields:
    return {
        **_job(job),
        "phase": job.phase,
        "progress": job.progress,
        "attempts": len(job.attempts),
        "refusals": outcomes.refusals(job),
    }


def _cost(paid: Job | Attempt, *, final: bool) -> Fields:
    cost: Fields = {"cost_final": final}
    if paid.credits is not None:
        cost = {"credits": paid.credits, **cost}
    if paid.microusd is not None:
        cost = {**cost, "cost_usd": paid.microusd / 1_000_000}
    return cost


def _level(reason: Reason) -> Level:
    return Level.INFO if reason in outcomes.USERS_DOING else Level.WARNING


def _first_throttled(event: Event) -> bool:
    if event.tick or event.job.phase is not Phase.THROTTLED:
        return False
    return sum(moment.phase is Phase.THROTTLED for moment in event.job.timeline) == 1

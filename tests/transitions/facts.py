"""Facts and jobs that these chapters speak of."""

from taxiway.facts import (
    Delivered,
    Fact,
    Failed,
    Output,
    Seen,
    Stopped,
    Submitted,
    Submitting,
)
from taxiway.jobs import (
    GenerationRequest,
    Job,
    JobError,
    JobStatus,
    Part,
    Phase,
    Plan,
)
from taxiway.transitions import accept, advance

REQUEST = GenerationRequest(model="gen4-image", prompt="A lighthouse.", size="1920x1080")


ONE = Plan(size="1920x1080", parts=(Part(images=1, credits=8),))


TWO = Plan(size="1920x1080", parts=(Part(images=1, credits=8), Part(images=1, credits=8)))


UNPRICED = Plan(size="1920x1080", parts=(Part(images=1, credits=None),))


REFUSED = JobError(code="provider_rejected", message="The provider refused the prompt.")


BROKEN = JobError(code="provider_failed", message="The provider failed.", failure_code="INTERNAL")


MODERATED = JobError(code="content_policy_violation", message="Moderation refused the image.")


LOST = JobError(code="submission_unknown", message="The answer was lost.")


LATE = JobError(code="job_timeout", message="The deadline passed.")


CALLED_OFF = JobError(code="job_cancelled", message="The job was cancelled.")


FAULT = JobError(code="internal_server_error", message="The service broke.")


def accepted(plan: Plan = ONE) -> Job:
    """A job accepted at 100, due at 700."""
    return accept(REQUEST, plan, id="job_1", at=100.0, deadline_at=700.0)


def after(job: Job, *facts: Fact, at: float = 101.0) -> Job:
    """The job after facts one second apart, the first of them at `at`."""
    for seconds, fact in enumerate(facts):
        job = advance(job, fact, at=at + seconds)
    return job


def of(value: object, *names: str) -> tuple[object, ...]:
    """Some of a value's fields."""
    return tuple(getattr(value, name) for name in names)


def submitting(attempt: int = 0, part: int | None = None, deployment: str = "east") -> Submitting:
    return Submitting(
        attempt=attempt,
        part=attempt if part is None else part,
        deployment=deployment,
        provider="runwayml",
        model="gen4_image",
    )


def submitted(attempt: int = 0, estimate: int | None = None) -> Submitted:
    return Submitted(attempt=attempt, upstream_id=f"task-{attempt}", credits=estimate)


def seen(progress: float | None = None, *, attempt: int = 0, phase: Phase = Phase.RUNNING) -> Seen:
    return Seen(attempt=attempt, phase=phase, progress=progress)


def delivered(attempt: int = 0, charge: int | None = 8, size: str | None = None) -> Delivered:
    output = Output(url=f"https://cdn/{attempt}.png", size=size, content_type="image/png")
    return Delivered(attempt=attempt, outputs=(output,), credits=charge, polls=4)


def failed(attempt: int = 0, *, charge: int | None = 0, again: bool = False) -> Failed:
    return Failed(
        attempt=attempt, error=BROKEN, credits=charge, failure="Out of memory", again=again
    )


def stopped(status: JobStatus, error: JobError) -> Stopped:
    return Stopped(status=status, error=error)


BOUGHT = (submitting(), submitted())


RUNNING = (*BOUGHT, seen(0.25))

"""The parts of a job: what was tried for each, whether it is over, and how it is bought elsewhere. All pure."""

from collections.abc import Iterator, Sequence

from taxiway.frozen import replace
from taxiway.jobs import Attempt, AttemptStatus, Job, JobError, Part, Phase, Plan

_PHASES = tuple(Phase)


def history(job: Job, part: int) -> tuple[Attempt, ...]:
    """Return the attempts made for a part, those before it was split off included, oldest first."""
    own = tuple(attempt for attempt in job.attempts if attempt.part == part)
    of, since = job.parts[part].of, job.parts[part].since
    if of is None:
        return own
    return (*(attempt for attempt in history(job, of) if attempt.index < since), *own)


def hops(job: Job) -> int:
    """Return how often an image of a job went on under another public name."""
    return sum(_hops(job, part) for part in range(len(job.parts)))


def over(job: Job, part: int) -> bool:
    """Return whether nothing more will be tried for a part."""
    return _over(job.parts[part], _last(job).get(part))


def all_over(job: Job) -> bool:
    """Return whether nothing more will be tried for any part."""
    last = _last(job)
    return all(_over(part, last.get(index)) for index, part in enumerate(job.parts))


def unstored(job: Job) -> bool:
    """Return whether an image of a job waits to be stored."""
    return any(image.keep for image in job.images)


def first_error(job: Job) -> JobError | None:
    """Return why the first part without images has none."""
    return next(filter(None, _errors(job)), None)


def phase_of(job: Job) -> Phase:
    """Return the phase of the attempt that is furthest along; a job without a live one waits."""
    live = [a.phase for a in job.attempts if a.status is AttemptStatus.IN_PROGRESS]
    return max(live, key=_PHASES.index, default=Phase.QUEUED)


def progress_of(job: Job, attempts: Sequence[Attempt]) -> int:
    """Return the mean over the parts in whole percent, below 100 while unfinished, and never falling."""
    best = [0.0] * len(job.parts)
    for attempt in attempts:
        best[attempt.part] = max(best[attempt.part], attempt.progress)
    # The little that is added makes 29 of 0.29, which is 28.999… percent in binary.
    return max(job.progress, min(99, int(100 * sum(best) / len(best) + 1e-6)))


def planned_anew(job: Job, index: int, plan: Plan) -> Job:
    """Return the job with a part as another deployment makes it: at its price, in as many tasks as it needs."""
    part, since = job.parts[index], len(job.attempts)
    size = plan.size if plan.size != job.size else None
    first, *rest = (replace(share, size=size) for share in plan.parts)
    parts = list(job.parts)
    parts[index] = replace(first, of=part.of, since=part.since)
    parts += (replace(share, of=index, since=since) for share in rest)
    dropped = tuple(dict.fromkeys((*job.dropped, *plan.dropped)))
    return replace(job, parts=tuple(parts), dropped=dropped)


def _last(job: Job) -> dict[int, Attempt]:
    return {attempt.part: attempt for attempt in job.attempts}


def _over(part: Part, last: Attempt | None) -> bool:
    if last is None:
        return part.error is not None
    return last.status is not AttemptStatus.IN_PROGRESS and not last.again


def _errors(job: Job) -> Iterator[JobError | None]:
    last = _last(job)
    for index, part in enumerate(job.parts):
        attempt = last.get(index)
        yield part.error or (attempt.error if attempt is not None else None)


def _hops(job: Job, part: int) -> int:
    before, changes = job.request.model, 0
    # A split part begins where the one it was split from had come to: that change is counted there.
    if job.parts[part].of is not None:
        before = next((a.group for a in job.attempts if a.part == part), before)
    for attempt in job.attempts:
        if attempt.part == part and attempt.group:
            changes += attempt.group != before
            before = attempt.group
    return changes

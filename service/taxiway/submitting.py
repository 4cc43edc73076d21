"""One submission: recorded before it leaves, and then what came of it.

It is repeated only on proof that it bought nothing. An account that is of no use sends the image to another
deployment at once; a provider that is busy, overloaded or out of reach is tried again, others first.
"""

import asyncio
import random
from dataclasses import dataclass

from taxiway.cadence import backoff_s, every
from taxiway.errors import (
    BadRequestError,
    LeaseLostError,
    Refusal,
    SubmissionRefusedError,
    SubmissionUnknownError,
)
from taxiway.facts import Failed, Made, Refused, Report, SubmissionLost, Submitted, Submitting
from taxiway.frozen import replace
from taxiway.jobs import Attempt, AttemptStatus, GenerationRequest, Job, JobError
from taxiway.reporting import take_in
from taxiway.routing.berths import Berth
from taxiway.routing.itinerary import Leg, Mishap, next_leg
from taxiway.settings import Trouble
from taxiway.work import Work

#: How long a provider may stay out of reach before a job that has bought nothing gives up.
UNREACHABLE_GRACE_S = 30.0

#: How often a submission looks whether a lease that had run out is renewed. Is it lost, the job is cancelled here.
LEASE_PAUSE_S = 1.0

#: Refusals for good that are about the account or its address, and not about the request.
_USELESS = frozenset(
    {
        "provider_auth_failed",
        "insufficient_credits",
        "provider_quota_exceeded",
        "no_deployment_available",
    }
)

_MISHAPS = {
    Refusal.RATE_LIMITED: Mishap.RATE_LIMITED,
    Refusal.OVERLOADED: Mishap.OVERLOADED,
    Refusal.UNREACHABLE: Mishap.UNREACHABLE,
}

_UNKNOWN = JobError(
    code="submission_unknown",
    message="The provider's answer to the submission was lost. A task may have been bought, "
    "so it was not submitted again.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What came of a submission."""

    taken: Attempt | None = None
    """The attempt, where the provider took the task."""
    leg: Leg | None = None
    """Where the part goes on, where it did not; None: nowhere."""
    pause_s: float = 0.0
    """Before it goes on at the same deployment."""
    failed: bool = False
    """Whether a task was made and failed while its submission waited."""
    split: tuple[int, ...] = ()
    """Parts that were split from this one, and go on beside it."""


async def submit(work: Work, part: int, leg: Leg, berth: Berth, *, began_s: float) -> Step:
    """Submit a part's task at a deployment, once. `began_s` is when the first try of this attempt was made."""
    prepared = await _prepared(work, berth)
    if not work.shop.lease_alive():
        # Nothing is on its way, and nothing should say so: whoever takes the job over would have to believe it.
        async for _ in every(LEASE_PAUSE_S):
            if work.shop.lease_alive():
                break
    return await work.uninterrupted(_submit(work, part, leg, berth, prepared, began_s))


async def lose(work: Work, attempt: Attempt, leg: Leg) -> Leg | None:
    """Give up a submission whose outcome nobody knows. Returns where the part goes on, if somebody wants that."""
    wanted = work.job.policy.resubmit_unknown
    if wanted is None:
        wanted = work.shop.settings.resubmit_unknown
    onward = None
    if wanted:
        journey = work.journey(attempt.part)
        onward = next_leg(Mishap.LOST, leg, journey=journey, fleet=work.shop.fleet)
    lost = SubmissionLost(attempt=attempt.index, error=_UNKNOWN, again=onward is not None)
    await work.record(lost)
    return onward


async def _prepared(work: Work, berth: Berth) -> GenerationRequest | SubmissionRefusedError:
    """Upload the request's files. That buys nothing, so it may be interrupted; its failure is a refusal."""
    try:
        return await berth.station.provider.prepare(work.job.request)
    except SubmissionRefusedError as refusal:
        return refusal


async def _submit(
    work: Work,
    part: int,
    leg: Leg,
    berth: Berth,
    prepared: GenerationRequest | SubmissionRefusedError,
    began_s: float,
) -> Step:
    before = len(work.job.parts)
    job, attempt = await _announce(work, part, leg, berth)
    split = tuple(range(before, len(job.parts)))
    if not work.shop.lease_alive():
        # Another process may own the job by now, and would buy for it too.
        await work.record(Refused(attempt=attempt.index))
        return Step(leg=leg, split=split)
    try:
        if isinstance(prepared, SubmissionRefusedError):
            raise prepared
        ready = replace(job, request=prepared)
        left_at = work.shop.clock.now()
        answer = await berth.station.provider.submit(ready, attempt)
    except SubmissionRefusedError as refusal:
        step = await _refused(work, leg, berth, attempt, refusal, began_s)
        return replace(step, split=split)
    except BadRequestError as error:
        # The configuration has changed since the request was accepted.
        await work.record(Refused(attempt=attempt.index, error=_blamed(error)))
        return Step(split=split)
    except SubmissionUnknownError:
        berth.troubled(Trouble.FAILED)
        return Step(leg=await lose(work, attempt, leg), split=split)
    berth.accepted()
    if isinstance(answer, Submitted):
        await _taken(work, berth, answer)
        return Step(taken=work.job.attempts[attempt.index], split=split)
    return replace(await _made(work, berth, attempt, leg, answer, left_at), split=split)


async def _announce(work: Work, part: int, leg: Leg, berth: Berth) -> tuple[Job, Attempt]:
    """Record that a submission is about to leave, at which price."""
    deployment = berth.station.deployment
    last = work.last_attempt(part)
    reopened = last is not None and last.status is AttemptStatus.IN_PROGRESS
    # Counted right before it is recorded: other parts open their attempts at the same time.
    index = last.index if last is not None and reopened else len(work.job.attempts)
    job = await work.record(
        Submitting(
            attempt=index,
            part=part,
            deployment=deployment.id,
            provider=deployment.provider,
            model=deployment.model,
            group=work.name_of(leg),
            plan=work.new_plan(part, berth.station),
        )
    )
    return job, job.attempts[index]


async def _made(
    work: Work, berth: Berth, attempt: Attempt, leg: Leg, answer: Made | Failed, left_at: float
) -> Step:
    """Take in the end of a task that came with the answer to its submission."""
    report: Report
    if isinstance(answer, Made):
        report = await work.shop.taker.take(work.job, attempt, answer, submitted_at=left_at)
    else:
        report = replace(answer, submitted_at=left_at)
    try:
        _, onward = await take_in(work, attempt, leg, report, 0)
    except LeaseLostError:
        _orphaned(work, berth, answer.upstream_id)
        raise
    return Step(leg=onward, failed=isinstance(report, Failed))


async def _taken(work: Work, berth: Berth, submitted: Submitted) -> None:
    try:
        await work.record(submitted)
    except LeaseLostError:
        _orphaned(work, berth, submitted.upstream_id)
        raise


def _orphaned(work: Work, berth: Berth, upstream_id: str | None) -> None:
    """Say what was bought that the job will not know: the next owner calls it unknown."""
    work.shop.note(
        "job.submission_orphaned",
        job_id=work.job_id,
        provider_task_id=upstream_id,
        deployment=berth.station.id,
    )


async def _refused(
    work: Work,
    leg: Leg,
    berth: Berth,
    attempt: Attempt,
    refusal: SubmissionRefusedError,
    began_s: float,
) -> Step:
    error = _blamed(refusal)
    if refusal.refusal is Refusal.FINAL:
        return await _refused_for_good(work, leg, berth, attempt, error)
    pause_s = refusal.retry_after_s or backoff_s(attempt.refusals, jitter=random.random())  # noqa: S311
    pause_s = max(pause_s, work.shop.fleet.routing.retry_after_s)
    _tell(berth, refusal.refusal, pause_s)
    mishap = _MISHAPS[refusal.refusal]
    journey = work.journey(attempt.part)
    onward = next_leg(mishap, leg, journey=journey, fleet=work.shop.fleet)
    if onward is None and _patient(refusal.refusal, began_s):
        onward = replace(leg, tired=leg.tired | {attempt.deployment})
    if onward is None or onward.group != leg.group:
        closed = Refused(attempt=attempt.index, error=error, again=onward is not None)
        await work.record(closed)
        return Step(leg=onward)
    await work.record(Refused(attempt=attempt.index))
    work.shop.instruments.upstream_retry("submit", refusal.refusal)
    return Step(leg=onward, pause_s=pause_s)


async def _refused_for_good(
    work: Work, leg: Leg, berth: Berth, attempt: Attempt, error: JobError
) -> Step:
    onward = None
    if error.code in _USELESS:
        berth.useless(error)
        journey = work.journey(attempt.part)
        onward = next_leg(Mishap.USELESS, leg, journey=journey, fleet=work.shop.fleet)
    else:
        berth.accepted()  # whoever reads a request so closely has let it in
        if error.code == "content_policy_violation":
            journey = work.journey(attempt.part)
            onward = next_leg(Mishap.MODERATED, leg, journey=journey, fleet=work.shop.fleet)
    await work.record(Refused(attempt=attempt.index, error=error, again=onward is not None))
    return Step(leg=onward)


def _tell(berth: Berth, refusal: Refusal, pause_s: float) -> None:
    if refusal is Refusal.RATE_LIMITED:
        berth.held(pause_s)
    elif refusal is Refusal.UNREACHABLE:
        berth.troubled(Trouble.UNREACHABLE)
    else:
        berth.troubled(Trouble.FAILED)


def _patient(refusal: Refusal, began_s: float) -> bool:
    """Whether to go on trying where nothing else is left to try: nothing is lost by waiting for a free account."""
    if refusal is Refusal.RATE_LIMITED:
        return True
    spent_s = asyncio.get_running_loop().time() - began_s
    return refusal is Refusal.UNREACHABLE and spent_s < UNREACHABLE_GRACE_S


def _blamed(error: SubmissionRefusedError | BadRequestError) -> JobError:
    code = error.code if isinstance(error, SubmissionRefusedError) else "provider_rejected"
    return JobError(code=code, message=error.message, param=error.param)

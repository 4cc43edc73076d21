"""What becomes of one attempt: pure, and used by `transitions` alone."""

from taxiway.facts import GivenUp, Stopped, Submitting
from taxiway.frozen import replace
from taxiway.jobs import Attempt, AttemptStatus, CreditsSource, Job, Part, Phase


def opened(job: Job, fact: Submitting) -> Attempt:
    """Return the attempt that a submission opens, without its terms."""
    return Attempt(
        index=len(job.attempts),
        part=fact.part,
        images=0,
        deployment=fact.deployment,
        provider=fact.provider,
        model=fact.model,
    )


def sent(attempt: Attempt, fact: Submitting, part: Part) -> Attempt:
    """Return an attempt whose submission is about to leave, on the terms of its deployment."""
    return replace(
        attempt,
        phase=Phase.SUBMITTING,
        deployment=fact.deployment,
        provider=fact.provider,
        model=fact.model,
        group=fact.group,
        images=part.images,
        credits=part.credits,
        price_microusd=part.price_microusd,
        credits_source=None if part.microusd is None else CreditsSource.CATALOGUE,
    )


def given_up(attempt: Attempt, fact: GivenUp, at: float) -> Attempt:
    """Return an attempt of a part that nobody makes (any more)."""
    if attempt.status is not AttemptStatus.IN_PROGRESS:
        return replace(attempt, again=False)
    # Turned away for the moment, and now for good: it has bought nothing.
    refused = replace(attempt, status=AttemptStatus.REFUSED, finished_at=at, error=fact.error)
    return charged(refused, 0)


def closed(attempt: Attempt, fact: Stopped, at: float) -> Attempt:
    """Return an attempt of a job that ends from outside: what was not answered may have been bought."""
    if attempt.status is not AttemptStatus.IN_PROGRESS:
        return replace(attempt, again=False)
    if attempt.upstream_id is None and attempt.phase is Phase.SUBMITTING:
        return replace(attempt, status=AttemptStatus.UNKNOWN, finished_at=at)
    ended = replace(
        attempt, status=AttemptStatus.CANCELLED, finished_at=at, error=fact.error, again=False
    )
    return ended if attempt.upstream_id is not None else charged(ended, 0)


def charged(
    attempt: Attempt,
    credits: int | None,  # noqa: A002 - the trade's word
    price_microusd: int | None = None,
) -> Attempt:
    """Book what was charged; where nobody says, the last estimate stands as such."""
    if credits is None and price_microusd is None:
        return attempt
    return replace(
        attempt,
        credits=credits,
        price_microusd=price_microusd,
        credits_source=CreditsSource.CHARGED,
    )

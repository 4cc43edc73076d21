"""A bought task, from its first look to its end: a look that fails proves nothing, so it is repeated."""

import asyncio
import random
from collections.abc import Sequence

from taxiway.cadence import backoff_s, every
from taxiway.errors import ProviderUnavailableError, UpstreamTaskGoneError
from taxiway.facts import Failed, Report
from taxiway.jobs import Attempt, AttemptStatus, JobError
from taxiway.reporting import take_in
from taxiway.routing.itinerary import Leg
from taxiway.routing.stations import Station
from taxiway.work import Work

#: The longest pause between two looks at a task while looking fails.
POLL_BACKOFF_MAX_S = 10.0

_GONE = JobError(
    code="provider_failed",
    message="The provider no longer knows the task; it was removed there.",
    failure_code="TASK_GONE",
)


async def follow(work: Work, attempt: Attempt, leg: Leg) -> Leg | None:
    """Look at a bought task every poll interval until it has ended. Returns where its part goes on, if it does."""
    period_s = work.shop.settings.poll_interval_s
    first_s = period_s * random.uniform(0.5, 1.0)  # noqa: S311 - a burst must not poll in step
    failures = polls = gone = turn = 0
    async for late_s in every(period_s, first_s=first_s):
        work.shop.instruments.poll_lateness(late_s)
        polls += 1
        try:
            report = await _look(work, attempt, turn)
        except ProviderUnavailableError as error:
            failures, gone, turn = failures + 1, 0, turn + 1
            await asyncio.sleep(_pause_s(error, failures, period_s))
            continue
        except UpstreamTaskGoneError:
            gone, turn = gone + 1, turn + 1
            if gone < 2 * len(witnesses(work, attempt)):
                continue  # one 404 may be a replica that lags behind; two are an answer
            report = Failed(attempt=attempt.index, error=_GONE, credits=None)
        failures = gone = 0
        attempt, onward = await take_in(work, attempt, leg, report, polls)
        if attempt.status is not AttemptStatus.IN_PROGRESS:
            return onward
    raise AssertionError  # the beat never ends


def witnesses(work: Work, attempt: Attempt) -> Sequence[Station]:
    """Return who can look at a task, the one that bought it first.

    A new configuration may bring the same deployment with a new key: it is asked in turn while the old one fails.
    """
    berth = work.berth(attempt.part)
    fleet = work.shop.fleet
    current = fleet.speakers(
        attempt.deployment, provider=attempt.provider, name=work.job.request.model
    )
    if berth is None:
        return current
    return (berth.station, *(s for s in current if s is not berth.station))


async def _look(work: Work, attempt: Attempt, turn: int) -> Report:
    berth = work.berth(attempt.part)
    if berth is not None and turn == 0:
        return await berth.station.provider.poll(work.job, attempt)
    asked = witnesses(work, attempt)
    if not asked:
        raise ProviderUnavailableError("No deployment can look at the task any more.")
    return await asked[turn % len(asked)].provider.poll(work.job, attempt)


def _pause_s(error: ProviderUnavailableError, failures: int, period_s: float) -> float:
    if error.retry_after_s is not None:
        return error.retry_after_s
    pause_s = backoff_s(
        failures,
        jitter=random.random(),  # noqa: S311
        first_s=period_s / 2,
        most_s=POLL_BACKOFF_MAX_S,
    )
    return max(0.0, pause_s - period_s)

"""One part of a job, from where it stands to its end: a slot, a submission, a task, and so on while that helps."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from taxiway.cadence import backoff_s
from taxiway.facts import GivenUp
from taxiway.following import follow
from taxiway.jobs import Attempt, AttemptStatus, JobError, Phase
from taxiway.parts import over
from taxiway.routing.berths import Berth
from taxiway.routing.dispatcher import NOBODY, Outage
from taxiway.routing.itinerary import Leg, Mishap, begin, next_leg
from taxiway.submitting import Step, lose, submit
from taxiway.work import Work


async def make(work: Work, part: int) -> None:
    """Make one part of a job. What earlier owners have done for it counts."""
    if over(work.job, part):
        return
    journey = work.journey(part)
    leg = begin(journey, fleet=work.shop.fleet)
    if leg is None:
        await _give_up(work, part, journey.attempts[-1].error)
        return
    attempt = work.last_attempt(part)
    pause_s = 0.0
    if attempt is not None and _bought(attempt):
        leg = await _followed(work, attempt, leg)
        pause_s = _pause_s(work, part)
    await _go(work, part, leg, pause_s=pause_s)


async def lose_orphans(work: Work) -> None:
    """Give up submissions whose owner died between the POST and its answer: perhaps they bought a task."""
    for attempt in work.job.attempts:
        if attempt.status is AttemptStatus.IN_PROGRESS and attempt.phase is Phase.SUBMITTING:
            leg = begin(work.journey(attempt.part), fleet=work.shop.fleet)
            await lose(work, attempt, leg or Leg(group=work.job.request.model))


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run several to their end, or until one fails. Raises what that one raises."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as several:
        raise several.exceptions[0] from several


async def _go(work: Work, part: int, leg: Leg | None, *, pause_s: float = 0.0) -> None:
    """Try one deployment after the other until one makes the part, or nothing is left to try."""
    closed: frozenset[str] = frozenset()
    began_s: float | None = None
    while leg is not None:
        place = await _place(work, part, leg, pause_s)
        if isinstance(place, Outage):
            closed |= {leg.group}
            journey = work.journey(part, closed=closed)
            leg, pause_s = next_leg(Mishap.NOBODY, leg, journey=journey, fleet=work.shop.fleet), 0.0
            if leg is None:
                await _give_up(work, part, place.error)
            continue
        work.moor(part, place)
        began_s = began_s or asyncio.get_running_loop().time()
        step = await submit(work, part, leg, place, began_s=began_s)
        if step.split:
            # The new model makes fewer images at once: the others are made beside this one.
            others = (_go(work, other, Leg(group=leg.group)) for other in step.split)
            await together(_end_and_go(work, part, leg, step), *others)
            return
        if step.taken is not None or (step.leg and step.leg.group != leg.group):
            began_s = None
        leg, pause_s = await _ended(work, part, leg, step)


async def _end_and_go(work: Work, part: int, leg: Leg, step: Step) -> None:
    onward, pause_s = await _ended(work, part, leg, step)
    await _go(work, part, onward, pause_s=pause_s)


async def _ended(work: Work, part: int, leg: Leg, step: Step) -> tuple[Leg | None, float]:
    """See an attempt to its end, and give its slot back. Returns where the part goes on, and after which pause."""
    if step.taken is None:
        work.leave(part)
        return step.leg, _pause_s(work, part) if step.failed else step.pause_s
    onward = await _followed(work, step.taken, leg)
    return onward, _pause_s(work, part)


async def _followed(work: Work, attempt: Attempt, leg: Leg) -> Leg | None:
    work.take_up(attempt)
    onward = await follow(work, attempt, leg)
    work.leave(attempt.part)
    return onward


async def _place(work: Work, part: int, leg: Leg, pause_s: float) -> Berth | Outage:
    """Return a slot. The pause is for the deployments where something went wrong; others are free at once."""
    ticket = work.ticket(part, leg)
    if pause_s > 0:
        berth = work.shop.dispatcher.elsewhere(ticket)
        if berth is not None:
            return berth
        await asyncio.sleep(pause_s)
    return await work.shop.dispatcher.berth(ticket)


async def _give_up(work: Work, part: int, error: JobError | None) -> None:
    await work.record(GivenUp(part=part, error=error or NOBODY))


def _bought(attempt: Attempt) -> bool:
    return attempt.status is AttemptStatus.IN_PROGRESS and attempt.upstream_id is not None


def _pause_s(work: Work, part: int) -> float:
    """Return how long the part waits before it is tried again where it failed."""
    tries = work.tries(part)
    if not tries:
        return 0.0
    pause_s = backoff_s(tries - 1, jitter=random.random())  # noqa: S311
    return max(pause_s, work.shop.fleet.routing.retry_after_s)

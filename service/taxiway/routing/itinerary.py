"""Where an image goes on after something went wrong: again, at another deployment, under another name, or nowhere.

Pure. The order is that of LiteLLM: other deployments of the name, higher levels last; the request's own
fallbacks; those of the name; the default ones. What is different is the count. A fallback does not begin the
retries anew: all tasks of an image are at most one, the retries, and one for each change of name or level.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from taxiway.jobs import Attempt, AttemptStatus, Policy
from taxiway.routing.fleet import Fleet
from taxiway.settings import Trouble

#: In lists of fallbacks: every name.
EVERY = "*"


class Mishap(StrEnum):
    """What went wrong, as far as it decides what follows."""

    USELESS = "useless"
    """The account was refused: no key, no credits, no quota, no such address. Another one may do."""
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    """A task failed, and cost nothing or may be paid for twice."""
    FAILED_TWICE = "failed_twice"
    """The same, of a kind that is tried once more at most."""
    VENDOR_AWAY = "vendor_away"
    """The same, and another model is more likely to work."""
    MODERATED = "moderated"
    """Refused by moderation; another name follows only where the configuration says so."""
    LOST = "lost"
    """Nobody knows whether a task was bought, and somebody wants another one all the same."""
    NOBODY = "nobody"
    """No deployment of the name can take it."""


#: Mishaps → the kind of trouble whose retries count.
_TROUBLE = {
    Mishap.RATE_LIMITED: Trouble.RATE_LIMITED,
    Mishap.UNREACHABLE: Trouble.UNREACHABLE,
    Mishap.OVERLOADED: Trouble.FAILED,
    Mishap.FAILED: Trouble.FAILED,
    Mishap.FAILED_TWICE: Trouble.FAILED,
    Mishap.VENDOR_AWAY: Trouble.FAILED,
    Mishap.LOST: Trouble.FAILED,
}

#: Mishaps of a submission: the attempt stays open, and its refusals are what is counted.
_REFUSALS = frozenset({Mishap.RATE_LIMITED, Mishap.OVERLOADED, Mishap.UNREACHABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Where an image goes next."""

    group: str
    """A public name, no alias."""
    avoid: frozenset[str] = frozenset()
    """Deployments that are out of the question."""
    tired: frozenset[str] = frozenset()
    """Deployments that come after the others: something went wrong there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """The way of one image so far."""

    model: str
    """The name as the caller wrote it."""
    asked: str
    """The public name that it stands for."""
    attempts: Sequence[Attempt]
    """What was tried, the attempt that something went wrong with last, as it stood before."""
    policy: Policy
    num_retries: int
    """Where neither caller nor deployment says otherwise."""
    accepts: Callable[[str], bool]
    """Whether some deployment of a public name could take the request."""
    closed: frozenset[str] = frozenset()
    """Public names that nobody takes tasks under at the moment."""

    def group_of(self, attempt: Attempt) -> str:
        """Return the public name that an attempt was made under."""
        return self.asked if attempt.group in ("", self.model) else attempt.group


def begin(journey: Journey, *, fleet: Fleet) -> Leg | None:
    """Return where an image begins, or goes on under a new owner; None where it has come to its end."""
    leg = _before(journey)
    if not journey.attempts:
        return leg
    last = journey.attempts[-1]
    if last.status is AttemptStatus.IN_PROGRESS:
        return _tired(leg, last) if last.refusals else leg
    if not last.again:
        return None
    return next_leg(_mishap_of(last), leg, journey=journey, fleet=fleet)


def next_leg(mishap: Mishap, here: Leg, *, journey: Journey, fleet: Fleet) -> Leg | None:
    """Return where an image goes on after a mishap; None: nowhere, this was its end."""
    match mishap:
        case Mishap.NOBODY:
            return _hop(here, journey, fleet)
        case Mishap.MODERATED:
            return _hop(here, journey, fleet, moderated=True)
        case Mishap.USELESS:
            onward = replace(here, avoid=here.avoid | {journey.attempts[-1].deployment})
            return onward if _remaining(onward, fleet) else _hop(here, journey, fleet)
        case Mishap.VENDOR_AWAY:
            return _hop(here, journey, fleet) or _again(Mishap.FAILED, here, journey, fleet)
        case _:
            return _again(mishap, here, journey, fleet)


def retries(mishap: Mishap, *, group: str, deployment: str, journey: Journey, fleet: Fleet) -> int:
    """Return how many repeats a mishap may have: by the caller, the policies, the deployment, the settings."""
    if journey.policy.num_retries is not None:
        return journey.policy.num_retries
    trouble = _TROUBLE[mishap]
    for policy in (fleet.routing.group_retry_policies.get(group, {}), fleet.routing.retry_policy):
        if trouble in policy:
            return policy[trouble]
    station = fleet.station(deployment)
    own = station.deployment.num_retries if station is not None else None
    return journey.num_retries if own is None else own


def _before(journey: Journey) -> Leg:
    """Return the leg that the last attempt was made on."""
    leg = Leg(group=journey.asked)
    for index, attempt in enumerate(journey.attempts):
        if journey.group_of(attempt) != leg.group:
            leg = Leg(group=journey.group_of(attempt))
        if index == len(journey.attempts) - 1:
            break
        if attempt.status is AttemptStatus.REFUSED:
            leg = replace(leg, avoid=leg.avoid | {attempt.deployment})
        else:
            leg = _tired(leg, attempt)
    return leg


def _mishap_of(attempt: Attempt) -> Mishap:
    if attempt.error is not None and attempt.error.code == "content_policy_violation":
        return Mishap.MODERATED
    if attempt.status is AttemptStatus.REFUSED:
        return Mishap.USELESS
    return Mishap.LOST if attempt.status is AttemptStatus.UNKNOWN else Mishap.FAILED


def _tired(leg: Leg, attempt: Attempt) -> Leg:
    return replace(leg, tired=leg.tired | {attempt.deployment})


def _again(mishap: Mishap, here: Leg, journey: Journey, fleet: Fleet) -> Leg | None:
    last = journey.attempts[-1]
    most = retries(
        mishap, group=here.group, deployment=last.deployment, journey=journey, fleet=fleet
    )
    if mishap is Mishap.FAILED_TWICE:
        most = min(1, most)
    if _count(mishap, journey) <= most:
        return _tired(here, last)
    return _higher(here, journey, fleet) or _hop(here, journey, fleet)


def _count(mishap: Mishap, journey: Journey) -> int:
    """Return how many times it went wrong, this time included."""
    if mishap in _REFUSALS:
        return journey.attempts[-1].refusals + 1
    failed = (AttemptStatus.FAILED, AttemptStatus.UNKNOWN)
    return 1 + sum(attempt.status in failed for attempt in journey.attempts[:-1])


def _higher(here: Leg, journey: Journey, fleet: Fleet) -> Leg | None:
    """Return the levels of the same name above those that were tried; None where there are none."""
    stations = fleet.serving(here.group)
    tried = here.tired | {attempt.deployment for attempt in journey.attempts}
    level = max((s.level for s in stations if s.id in tried), default=float("inf"))
    below = frozenset(station.id for station in stations if station.level <= level)
    onward = Leg(group=here.group, avoid=here.avoid | below)
    return onward if _remaining(onward, fleet) else None


def _remaining(leg: Leg, fleet: Fleet) -> bool:
    return any(
        station.id not in leg.avoid and not station.deployment.blocked
        for station in fleet.serving(leg.group)
    )


def _hop(here: Leg, journey: Journey, fleet: Fleet, *, moderated: bool = False) -> Leg | None:
    """Return the next name: the fallbacks of where it is now, then those of where it was before."""
    bought_under = dict.fromkeys(map(journey.group_of, journey.attempts))
    if len(bought_under.keys() - {journey.asked}) >= fleet.routing.max_fallbacks:
        return None
    visited = dict.fromkeys((journey.asked, *bought_under, here.group))
    for name in reversed(visited):
        for follower in _followers(name, journey, fleet, moderated=moderated):
            group = fleet.canonical(follower)
            if group in visited or group in journey.closed:
                continue
            if journey.accepts(group):
                return Leg(group=group)
    return None


def _followers(name: str, journey: Journey, fleet: Fleet, *, moderated: bool) -> Iterator[str]:
    routing = fleet.routing
    if moderated:
        yield from routing.content_policy_fallbacks.get(name, ())
        yield from routing.content_policy_fallbacks.get(EVERY, ())
        return
    if name == journey.asked:
        yield from journey.policy.fallbacks
    yield from routing.fallbacks.get(name, ())
    yield from routing.fallbacks.get(EVERY, ())
    yield from routing.default_fallbacks

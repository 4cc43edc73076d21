"""Where an image goes on after a failure: retries, fallbacks, and an end to them."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.routing.stations import FAILED, OPEN, REFUSED, station

from taxiway.jobs import Attempt, AttemptStatus, Policy
from taxiway.routing.fleet import Fleet
from taxiway.routing.itinerary import Journey, Leg, Mishap, begin, next_leg
from taxiway.settings import Routing, Trouble


def attempt(
    deployment: str, status: AttemptStatus, *, group: str = "image", **more: Any
) -> Attempt:
    """An attempt that has come to this."""
    return Attempt(
        index=0,
        part=0,
        images=1,
        deployment=deployment,
        provider="runwayml",
        model="gen4_image",
        group=group,
        status=status,
        **more,
    )


def journey(*attempts: Attempt, retries: int = 2, **more: Any) -> Journey:
    """The way so far of an image that was asked for as `image`."""
    known: dict[str, Any] = {
        "model": "image",
        "asked": "image",
        "policy": Policy(),
        "num_retries": retries,
        "accepts": lambda _: True,
    }
    return Journey(**{**known, "attempts": attempts, **more})


FLEET = Fleet(
    [
        station("a", order=1),
        station("b", order=1),
        station("c", order=2),
        station("x", model_name="spare"),
        station("y", model_name="other"),
        station("z", model_name="lenient"),
    ],
    routing=Routing(
        fallbacks={"image": ("spare",)},
        default_fallbacks=("other",),
        content_policy_fallbacks={"*": ("lenient",)},
        retry_policy={Trouble.RATE_LIMITED: 0},
        group_retry_policies={"other": {Trouble.FAILED: 5}},
    ),
)


HERE = Leg(group="image")


@pytest.mark.parametrize(
    ("mishap", "way", "here", "expected"),
    [
        pytest.param(
            *(Mishap.FAILED, journey(attempt("a", OPEN)), HERE),
            Leg(group="image", tired=frozenset("a")),
            id="failed once: another one first",
        ),
        pytest.param(
            Mishap.FAILED,
            journey(attempt("a", FAILED), attempt("b", FAILED), attempt("a", OPEN)),
            *(HERE, Leg(group="image", avoid=frozenset("ab"))),
            id="retries used up: the next level",
        ),
        pytest.param(
            Mishap.FAILED,
            journey(*[attempt("a", FAILED)] * 3, attempt("c", OPEN)),
            *(Leg(group="image", avoid=frozenset("ab")), Leg(group="spare")),
            id="no level left: the fallback",
        ),
        pytest.param(
            Mishap.FAILED,
            journey(*[attempt("a", FAILED)] * 4, attempt("x", OPEN, group="spare")),
            *(Leg(group="spare"), Leg(group="other")),
            id="a fallback that fails: one task, then the default one",
        ),
        pytest.param(
            Mishap.FAILED,
            journey(*[attempt("a", FAILED)] * 4, attempt("y", OPEN, group="other")),
            *(Leg(group="other"), Leg(group="other", tired=frozenset("y"))),
            id="a name with a number of its own",
        ),
        pytest.param(
            Mishap.FAILED_TWICE,
            journey(attempt("a", FAILED), attempt("b", OPEN)),
            *(HERE, Leg(group="image", avoid=frozenset("ab"))),
            id="a kind that is repeated once",
        ),
        pytest.param(
            *(Mishap.VENDOR_AWAY, journey(attempt("a", OPEN)), HERE, Leg(group="spare")),
            id="the vendor behind is away",
        ),
        pytest.param(
            *(Mishap.MODERATED, journey(attempt("a", OPEN)), HERE, Leg(group="lenient")),
            id="refused by moderation",
        ),
        pytest.param(
            Mishap.MODERATED,
            journey(attempt("a", FAILED), attempt("z", OPEN, group="lenient")),
            *(Leg(group="lenient"), None),
            id="refused there too",
        ),
        pytest.param(
            *(Mishap.USELESS, journey(attempt("a", OPEN)), HERE),
            Leg(group="image", avoid=frozenset("a")),
            id="a refused key: never the same again",
        ),
        pytest.param(
            Mishap.USELESS,
            journey(attempt("a", REFUSED), attempt("b", REFUSED), attempt("c", OPEN)),
            *(Leg(group="image", avoid=frozenset("ab")), Leg(group="spare")),
            id="every key refused",
        ),
        pytest.param(
            *(Mishap.RATE_LIMITED, journey(attempt("a", OPEN)), HERE),
            Leg(group="image", avoid=frozenset("ab")),
            id="a policy for one kind: no retry at this level",
        ),
        pytest.param(
            Mishap.OVERLOADED,
            journey(attempt("a", OPEN, refusals=1)),
            *(HERE, Leg(group="image", tired=frozenset("a"))),
            id="overloaded: by the refusals of the attempt",
        ),
        pytest.param(
            *(Mishap.NOBODY, journey(), HERE, Leg(group="spare")), id="nobody there to begin with"
        ),
        pytest.param(
            Mishap.NOBODY,
            journey(closed=frozenset({"spare"})),
            *(HERE, Leg(group="other")),
            id="a fallback that is out too",
        ),
        pytest.param(
            Mishap.NOBODY,
            journey(policy=Policy(fallbacks=("lenient",))),
            *(HERE, Leg(group="lenient")),
            id="the caller's own first",
        ),
        pytest.param(
            Mishap.NOBODY,
            journey(accepts=lambda group: group == "other"),
            *(HERE, Leg(group="other")),
            id="one that cannot honour the request",
        ),
    ],
)
def test_where_an_image_goes_on(
    mishap: Mishap, way: Journey, here: Leg, expected: Leg | None
) -> None:
    """Other deployments, higher levels, fallbacks: in this order, and each no more often than it may."""
    assert expected == next_leg(mishap, here, journey=way, fleet=FLEET)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(None, HERE, id="nothing yet"),
        pytest.param(attempt("a", OPEN), HERE, id="under way"),
        pytest.param(
            attempt("a", OPEN, refusals=1),
            Leg(group="image", tired=frozenset("a")),
            id="turned away for the moment",
        ),
        pytest.param(
            attempt("a", REFUSED, again=True),
            Leg(group="image", avoid=frozenset("a")),
            id="turned away for good",
        ),
        pytest.param(
            attempt("a", FAILED, again=True),
            Leg(group="image", tired=frozenset("a")),
            id="failed, to be tried again",
        ),
        pytest.param(attempt("a", FAILED), None, id="failed for good"),
        pytest.param(attempt("x", OPEN, group="spare"), Leg(group="spare"), id="at a fallback"),
    ],
)
def test_a_new_owner_goes_on_where_the_old_one_was(
    last: Attempt | None, expected: Leg | None
) -> None:
    """The attempts alone tell where an image is on its way."""
    way = journey() if last is None else journey(last)

    assert expected == begin(way, fleet=FLEET)


GROUPS = ("g0", "g1", "g2", "g3")


NAMES = st.lists(st.sampled_from(GROUPS), max_size=3).map(tuple)


CHAINS = st.dictionaries(st.sampled_from((*GROUPS, "*")), NAMES, max_size=4)


MISHAPS = st.lists(st.sampled_from(list(Mishap)), min_size=40, max_size=40)


@dataclass
class Trip:
    """An image that meets one mishap after the other."""

    fleet: Fleet
    retries: int
    attempts: list[Attempt]
    posts: int = 0
    closed: frozenset[str] = frozenset()

    def journey(self) -> Journey:
        """The way so far."""
        return journey(
            *self.attempts,
            retries=self.retries,
            model="g0",
            asked="g0",
            closed=self.closed,
            accepts=lambda group: bool(self.fleet.serving(group)),
        )

    def meet(self, mishap: Mishap, leg: Leg) -> Leg | None:
        """Let the mishap happen at a deployment of the leg; return where it goes on."""
        open_ = [s.id for s in self.fleet.serving(leg.group) if s.id not in leg.avoid]
        if mishap is Mishap.NOBODY or not open_:
            self.closed |= {leg.group}
            return next_leg(Mishap.NOBODY, leg, journey=self.journey(), fleet=self.fleet)
        fresh = [each for each in open_ if each not in leg.tired] or open_
        self.posts += 1
        last = self.attempts[-1] if self.attempts else None
        if last is None or last.status is not OPEN:
            self.attempts.append(attempt(fresh[0], OPEN, group=leg.group))
        else:
            self.attempts[-1] = replace(last, deployment=fresh[0], group=leg.group)
        onward = next_leg(mishap, leg, journey=self.journey(), fleet=self.fleet)
        self.attempts[-1] = self._after(mishap, onward is not None and onward.group == leg.group)
        return onward

    def _after(self, mishap: Mishap, stays: bool) -> Attempt:
        last = self.attempts[-1]
        if mishap in (Mishap.RATE_LIMITED, Mishap.OVERLOADED, Mishap.UNREACHABLE) and stays:
            return replace(last, refusals=last.refusals + 1)
        refused = mishap is Mishap.USELESS or last.refusals
        return replace(last, status=REFUSED if refused else FAILED, again=True)


@settings(max_examples=300, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    levels=st.lists(st.none() | st.integers(0, 2), min_size=12, max_size=12),
    fallbacks=CHAINS,
    policies=CHAINS,
    default=NAMES,
    most=st.integers(0, 4),
    retries=st.integers(0, 3),
    mishaps=MISHAPS,
)
def test_every_way_ends(
    sizes: list[int],
    levels: list[int | None],
    fallbacks: dict[str, tuple[str, ...]],
    policies: dict[str, tuple[str, ...]],
    default: tuple[str, ...],
    most: int,
    retries: int,
    mishaps: list[Mishap],
) -> None:
    """Whatever is configured and whatever goes wrong, no image buys more than its retries and changes allow."""
    order = iter(levels)
    stations = [
        station(f"{group}-{n}", model_name=group, order=next(order))
        for group, size in zip(GROUPS, sizes, strict=True)
        for n in range(size)
    ]
    routing = Routing(
        fallbacks=fallbacks,
        content_policy_fallbacks=policies,
        default_fallbacks=default,
        max_fallbacks=most,
    )
    trip = Trip(fleet=Fleet(stations, routing=routing), retries=retries, attempts=[])
    leg: Leg | None = Leg(group="g0")
    visited = ["g0"]
    for mishap in mishaps:
        if leg is None:
            break
        leg = trip.meet(mishap, leg)
        if leg is not None and leg.group != visited[-1]:
            visited.append(leg.group)
    failed = sum(each.status is FAILED for each in trip.attempts)
    groups = {each.group for each in trip.attempts}

    assert leg is None
    assert len(set(visited)) == len(visited)
    assert len(groups - {"g0"}) <= most
    assert failed <= 1 + retries + len(stations)
    assert trip.posts <= (1 + retries) * 2 + 2 * len(stations)

"""Slots: who gets one, when, and what becomes of those who wait. In virtual time, to the second."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.errors import Reason
from taxiway.jobs import GenerationRequest, JobError, Phase
from taxiway.providers.runway_requests import RunwayModel
from taxiway.routing.berths import Berth
from taxiway.routing.dispatcher import Dispatcher, Outage, Ticket
from taxiway.routing.fleet import Fleet
from taxiway.routing.itinerary import Leg
from taxiway.routing.plans import Plans
from taxiway.routing.stations import Station
from taxiway.settings import Deployment, Routing, Secret, Trouble

if TYPE_CHECKING:
    from taxiway.protocols import Provider

AUTH = JobError(code="provider_auth_failed", message="The key was refused.")
REQUEST = GenerationRequest(model="image", prompt="a fox")


def station(name: str, *, routing: Routing | None = None, **fields: Any) -> Station:
    """A deployment called by its id, of `image` unless told otherwise."""
    known = {"model_name": "image", "provider": "runwayml", "model": "gen4_image"}
    deployment = Deployment(id=name, **{**known, **fields})
    provider = cast("Provider", RunwayModel(deployment))
    return Station(deployment=deployment, provider=provider, routing=routing)


@dataclass
class Desk:
    """A dispatcher, and those who have asked it for a slot."""

    dispatcher: Dispatcher
    asked: dict[str, asyncio.Task[Berth | Outage]] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)
    """When each of them got an answer, in seconds from the first call."""
    began_s: float | None = None

    def ask(self, name: str, *, scope: str = "", group: str = "image", **leg: Any) -> None:
        """Ask for a slot; the name's number says which came first."""
        loop = asyncio.get_running_loop()
        self.began_s = loop.time() if self.began_s is None else self.began_s
        number = len(self.asked)
        ticket = Ticket(
            job_id=name,
            scope=scope,
            place=(0.0, number, 0),
            leg=Leg(group=group, **leg),
            images=1,
            plans=Plans(REQUEST),
            tags=(),
        )
        self.asked[name] = asyncio.create_task(self._wait(name, ticket))

    def got(self, name: str) -> str | None:
        """The deployment that gave a slot, `out` for an outage, None while waiting."""
        task = self.asked[name]
        if not task.done() or task.cancelled():
            return None
        found = task.result()
        return "out" if isinstance(found, Outage) else found.station.id

    def all_got(self) -> dict[str, str | None]:
        """What everybody got."""
        return {name: self.got(name) for name in self.asked}

    def berth(self, name: str) -> Berth:
        """The slot that somebody got."""
        found = self.asked[name].result()
        assert isinstance(found, Berth)
        return found

    async def _wait(self, name: str, ticket: Ticket) -> Berth | Outage:
        found = await self.dispatcher.berth(ticket)
        self.at[name] = round(asyncio.get_running_loop().time() - (self.began_s or 0.0), 3)
        return found


def desk(*stations: Station, routing: Routing | None = None, **more: Any) -> Desk:
    """A dispatcher over these stations."""
    fleet = Fleet(stations, routing=routing)
    return Desk(dispatcher=Dispatcher(fleet, draw=random.Random(3), **more))


async def settle() -> None:
    """Let everybody do what they can do at this moment."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_slot_is_given_at_once() -> None:
    """While there is room nobody waits, and no slot is given twice."""
    them = desk(station("a", max_parallel_requests=2))
    for name in ("1", "2", "3"):
        them.ask(name)
    await settle()

    assert {"1": "a", "2": "a", "3": None} == them.all_got()


async def test_the_first_free_slot_of_any_deployment() -> None:
    """Whoever waits is promised to nobody: the first slot that comes free at any deployment is his."""
    a, b = station("a", max_parallel_requests=1), station("b", max_parallel_requests=1)
    them = desk(a, b)
    for name in ("1", "2", "3"):
        them.ask(name)
    await settle()
    second = them.berth("2")
    second.release()
    second.release()  # once more changes nothing
    await settle()

    assert second.station.id == them.got("3")
    assert [1, 1] == [a.traffic.under_way, b.traffic.under_way]


async def test_keys_take_turns() -> None:
    """One key's many do not go before another key's first."""
    them = desk(station("a", max_parallel_requests=1))
    for number in range(4):
        them.ask(f"many {number}", scope="many")
    await settle()
    for number in range(2):
        them.ask(f"few {number}", scope="few")
    await settle()
    foreseen = dict(them.dispatcher.positions())
    went = []
    while len(went) < 6:
        (name,) = (n for n in them.asked if n not in went and them.got(n))
        went.append(name)
        them.berth(name).release()
        await settle()

    assert ["many 0", "many 1", "few 0", "many 2", "few 1", "many 3"] == went
    assert {name: place for place, name in enumerate(went[1:], start=1)} == foreseen


async def test_a_rate_spaces_evenly() -> None:
    """Thirty a minute: a burst of four, then one every two seconds."""
    them = desk(station("a", rpm=30.0))
    for number in range(10):
        them.ask(str(number))
    await asyncio.sleep(60)

    assert [0, 0, 0, 0, 2, 4, 6, 8, 10, 12] == list(them.at.values())


async def test_a_rate_limit_holds_everybody_back() -> None:
    """What the provider asks one to wait, all wait; another deployment is used meanwhile."""
    a, b = station("a"), station("b", max_parallel_requests=1)
    them = desk(a, b)
    a.traffic.under_way = 0
    b.traffic.under_way = 1
    them.ask("1")
    await settle()
    them.berth("1").held(3.0)
    them.berth("1").release()
    them.ask("2")
    await asyncio.sleep(1)
    b.traffic.under_way = 0
    them.ask("3")
    await asyncio.sleep(10)

    assert {"1": "a", "2": "b", "3": "a"} == them.all_got()
    assert (1.0, 3.0) == (them.at["2"], them.at["3"])


async def test_one_that_leaves_the_queue_gets_nothing() -> None:
    """Being cancelled in the queue, even in the moment of one's turn, loses no slot."""
    a = station("a", max_parallel_requests=1)
    them = desk(a)
    for name in ("1", "2", "3", "4"):
        them.ask(name)
    await settle()
    them.asked["2"].cancel()
    await settle()
    them.berth("1").release()
    them.asked["3"].cancel()  # its turn has come, and it has not heard of it yet
    await settle()

    assert "a" == them.got("4")
    assert 1 == a.traffic.under_way


async def test_a_deployment_of_no_use_is_not_waited_for() -> None:
    """When the only account is refused, those who wait are told at once, and so is whoever comes."""
    a = station("a", max_parallel_requests=1)
    them = desk(a)
    for name in ("1", "2"):
        them.ask(name)
    await settle()
    them.berth("1").useless(AUTH)
    them.ask("3")
    await settle()
    outage = them.asked["2"].result()

    assert ("out", "out") == (them.got("2"), them.got("3"))
    assert isinstance(outage, Outage)
    assert AUTH == outage.error


async def test_after_its_rest_one_task_tries_it() -> None:
    """One of those who come after the rest goes first; the others go when it has been taken."""
    told: list[str] = []
    a = station("a")
    them = desk(a, cooled=lambda each: told.append(str(each.traffic.breaker.reason)))
    them.ask("1")
    await settle()
    them.berth("1").useless(AUTH)
    them.berth("1").release()
    await asyncio.sleep(61)
    for name in ("2", "3", "4"):
        them.ask(name)
    await settle()
    first = them.all_got()
    them.berth("2").accepted()
    await settle()

    assert ("a", None, None) == (first["2"], first["3"], first["4"])
    assert ("a", "a") == (them.got("3"), them.got("4"))
    assert ["auth", "None"] == told


async def test_a_deployment_that_fails_too_often_rests() -> None:
    """After too many failures its sibling takes everything, until the rest is over."""
    routing = Routing(allowed_fails=1, cooldown_time_s=5.0)
    a, b = (station(name, routing=routing) for name in "ab")
    them = desk(a, b, routing=routing)
    for _ in range(2):
        berth = them.dispatcher.occupy(a, job_id="old", scope="")
        berth.troubled(Trouble.FAILED)
        berth.release()
    for number in range(6):
        them.ask(f"early {number}")
    await asyncio.sleep(6)
    for number in range(20):
        them.ask(f"later {number}")
    await settle()
    later = Counter(them.got(f"later {number}") for number in range(20))

    assert {"b": 6} == Counter(them.got(f"early {number}") for number in range(6))
    assert {"a": 1, "b": 19} == later


async def test_the_last_usable_deployment_goes_on() -> None:
    """With its sibling at rest, a deployment that fails as well is better than none."""
    routing = Routing(allowed_fails=0)
    a, b = (station(name, routing=routing) for name in "ab")
    them = desk(a, b, routing=routing)
    for each in (a, b):
        berth = them.dispatcher.occupy(each, job_id=each.id, scope="")
        berth.troubled(Trouble.FAILED)
        berth.release()
    them.ask("1")
    await settle()

    assert "b" == them.got("1")


async def test_disabled_cooldowns() -> None:
    """`disable_cooldowns` lets a failing deployment go on; one whose account is refused rests all the same."""
    routing = Routing(allowed_fails=0, cooldowns=False)
    a, b = (station(name, routing=routing) for name in "ab")
    them = desk(a, b, routing=routing)
    berth = them.dispatcher.occupy(a, job_id="1", scope="")
    berth.troubled(Trouble.FAILED)
    still = a.traffic.breaker.reason
    berth.useless(AUTH)

    assert (None, Reason.AUTH) == (still, a.traffic.breaker.reason)


async def test_tasks_that_are_held_back_are_counted() -> None:
    """A berth tells of THROTTLED and takes it back at its end."""
    a = station("a")
    berth = desk(a).dispatcher.occupy(a, job_id="1", scope="")
    berth.seen(Phase.THROTTLED)
    berth.seen(Phase.THROTTLED)
    held = a.traffic.throttled
    berth.release()

    assert (1, 0, 0) == (held, a.traffic.throttled, a.traffic.under_way)


async def test_a_blocked_deployment_takes_nothing() -> None:
    """A paused deployment is passed over; a name with none but paused ones has nobody."""
    them = desk(
        station("a", blocked=True), station("b"), station("c", model_name="z", blocked=True)
    )
    them.ask("1")
    them.ask("2", group="z")
    them.ask("3", group="unheard of")
    await settle()

    assert {"1": "b", "2": "out", "3": "out"} == them.all_got()


async def test_a_new_configuration_is_used_by_those_who_wait() -> None:
    """More slots, another deployment, or none: those who wait are looked at anew."""
    a = station("a", max_parallel_requests=1)
    them = desk(a)
    for name in ("1", "2", "3"):
        them.ask(name)
    await settle()
    fleet = them.dispatcher._fleet
    fleet.replace([station("a", max_parallel_requests=2, api_key=Secret("new"))])
    them.dispatcher.refresh()
    await settle()
    more = them.all_got()
    fleet.replace([])
    them.dispatcher.refresh()
    await settle()

    assert {"1": "a", "2": "a", "3": None} == more
    assert "out" == them.got("3")


LIMITS = st.none() | st.integers(1, 3)
STEPS = st.lists(
    st.sampled_from(
        [
            "ask",
            "ask",
            "ask",
            "release",
            "release",
            "cancel",
            "fail",
            "refuse",
            "hold",
            "work",
            "pause",
            "reload",
        ]
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(
    slots=st.lists(LIMITS, min_size=1, max_size=3),
    rates=st.lists(st.none() | st.floats(6, 600), min_size=3, max_size=3),
    orders=st.lists(st.none() | st.integers(0, 1), min_size=3, max_size=3),
    per_key=LIMITS,
    total=LIMITS,
    steps=STEPS,
    seed=st.integers(0, 1_000),
)
@pytest.mark.looptime(False)
def test_whatever_happens_slots_are_kept(
    slots: list[int | None],
    rates: list[float | None],
    orders: list[int | None],
    per_key: int | None,
    total: int | None,
    steps: list[str],
    seed: int,
) -> None:
    """In any order of events no limit is ever exceeded, no slot is lost, and nobody waits for ever."""
    routing = Routing(max_parallel_per_key=per_key, max_parallel_total=total)

    def stations() -> Iterator[Station]:
        for n, each in enumerate(slots):
            limits = {"max_parallel_requests": each, "rpm": rates[n], "order": orders[n]}
            yield station(f"d{n}", routing=routing, **limits)

    async def play() -> None:
        table = _Table(
            desk(*stations(), routing=routing), random.Random(seed), slots, per_key, total
        )
        for step in steps:
            if step == "reload":
                table.desk.dispatcher._fleet.replace(list(stations()), routing=routing)
                table.desk.dispatcher.refresh()
            else:
                await table.play(step)
            table.check()
        await table.finish()

    loop = looptime.new_event_loop()
    try:
        loop.run_until_complete(play())
    finally:
        loop.close()


class _Table:
    """A desk at which anything may happen."""

    def __init__(
        self,
        them: Desk,
        dice: random.Random,
        slots: list[int | None],
        per_key: int | None,
        total: int | None,
    ) -> None:
        self.desk = them
        self.dice = dice
        self.slots = slots
        self.per_key = per_key
        self.total = total
        self.gone: set[str] = set()

    def held(self) -> list[str]:
        """Those who have a slot."""
        return [
            n
            for n, got in self.desk.all_got().items()
            if got not in (None, "out") and n not in self.gone
        ]

    async def play(self, step: str) -> None:
        """Let one thing happen."""
        held = self.held()
        name = self.dice.choice(held) if held else None
        match step:
            case "ask":
                self.desk.ask(f"{len(self.desk.asked)}", scope=self.dice.choice("ab"))
            case "cancel" if self.desk.asked:
                self.desk.asked[self.dice.choice([*self.desk.asked])].cancel()
            case "pause":
                await asyncio.sleep(self.dice.choice([0.1, 5.0, 70.0]))
            case _ if name is not None:
                self._tell(step, self.desk.berth(name))
                if step == "release":
                    self.gone.add(name)
        await settle()

    def _tell(self, step: str, berth: Berth) -> None:
        match step:
            case "release":
                berth.release()
            case "fail":
                berth.failed(600.0)
            case "refuse":
                berth.useless(AUTH)
            case "hold":
                berth.held(2.0)
            case "work":
                berth.accepted()
                berth.worked(8.0)

    def check(self) -> None:
        """No limit is exceeded, and what is counted is what is held."""
        held = [self.desk.berth(name) for name in self.held()]
        under_way = Counter(berth.station.id for berth in held)
        for each in self.desk.dispatcher._fleet.stations:
            most = self.slots[int(each.id[1:])]
            assert each.traffic.under_way == under_way[each.id]
            assert most is None or under_way[each.id] <= most
        keys = Counter(berth.scope for berth in held)
        assert self.per_key is None or max(keys.values(), default=0) <= self.per_key
        assert self.total is None or len(held) <= self.total

    async def finish(self) -> None:
        """Everybody who still waits gets a slot or an answer once the others go."""
        for _ in range(4 * len(self.desk.asked) + 4):
            for name in self.held():
                self.desk.berth(name).worked(8.0)
                self.desk.berth(name).release()
                self.gone.add(name)
            await asyncio.sleep(10.0)
            self.check()
        assert [n for n, task in self.desk.asked.items() if not task.done()] == []
        assert [0] * len(self.slots) == [
            each.traffic.under_way for each in self.desk.dispatcher._fleet.stations
        ]

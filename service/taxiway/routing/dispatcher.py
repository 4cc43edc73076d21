"""Who goes when: gives each task a slot at a deployment, at once or after its turn in the queue.

A slot is held from before the submission to the task's end, whoever still watches. A task that finds no room
waits, which costs it nothing and keeps its job `queued`; it is not promised to a deployment, but takes the first
slot that comes free at any it may use.

Slots, rates and health belong to this process. Several replicas have as many times the slots; above an
account's own limit the provider queues tasks itself, and says so.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from taxiway.errors import BUDGET_SPENT
from taxiway.jobs import JobError
from taxiway.routing.berths import Berth
from taxiway.routing.candidates import lowest, tagged, tiers
from taxiway.routing.fleet import Fleet
from taxiway.routing.itinerary import Leg
from taxiway.routing.plans import Plans
from taxiway.routing.queue import FairQueue
from taxiway.routing.spending import UNBOUNDED, Spending
from taxiway.routing.stations import Station
from taxiway.routing.strategies import choose

#: What a job meets under a name that has no deployment for it.
NOBODY = JobError(
    code="no_deployment_available",
    message="No deployment of this model can take the request; nothing was bought.",
)

#: The same, where money is all that is missing.
SPENT = JobError(
    code=NOBODY.code,
    message="The budget of this model's deployments is spent; nothing was bought.",
    failure_code=BUDGET_SPENT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a task asks for: a slot, at one of some deployments."""

    job_id: str
    scope: str
    """The API key whose turn it takes."""
    place: tuple[float, int, int]
    """The job's date and number, and the part: who came first goes first."""
    leg: Leg
    images: int
    plans: Plans
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """There is no use in waiting: `error` says why."""

    error: JobError


class _Waiter:
    """One that waits. `lane` is what it may use: of two in one lane, either both can go or none."""

    __slots__ = ("future", "lane", "place", "scope", "ticket")

    def __init__(self, ticket: Ticket, lane: Hashable) -> None:
        self.ticket = ticket
        self.scope = ticket.scope
        self.place = ticket.place
        self.lane = lane
        self.future: asyncio.Future[Berth | Outage] = asyncio.get_running_loop().create_future()


class Seating(Protocol):
    """Who knows how many jobs of a key may be under way at once."""

    def may_start(self, job_id: str, scope: str, *, under_way: int) -> bool:
        """Return whether a job may go, while this process has let so many of its key go."""
        ...

    def limited(self, scope: str) -> bool:
        """Return whether jobs of a key wait for each other."""
        ...


class Unlimited:
    """Any number."""

    def may_start(self, job_id: str, scope: str, *, under_way: int) -> bool:
        """Return True."""
        return True

    def limited(self, scope: str) -> bool:
        """Return False."""
        return False


UNLIMITED = Unlimited()


class Dispatcher:
    """One per process, owned by whoever makes the runner.

    `changed` is called when somebody's place in a queue may have changed; `cooled` with the station that begins
    to rest, or is back, each time. `seats` know how many jobs of a key may be under way at once, and
    `spending` what deployments may still cost.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        cooled: Callable[[Station], None] = lambda _: None,
        draw: random.Random | None = None,
        seats: Seating = UNLIMITED,
        spending: Spending = UNBOUNDED,
    ) -> None:
        self._fleet = fleet
        self._cooled = cooled
        self._seats = seats
        self._spending = spending
        self._draw = draw or random.Random()  # noqa: S311 - not a secret
        self.changed: Callable[[], None] = lambda: None
        self.numbers = itertools.count()
        """For jobs in the order in which this process takes them up: dates are not that fine."""
        self._queues: dict[str, FairQueue[_Waiter]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._held: Counter[str] = Counter()
        """Slots by job."""
        self._jobs: Counter[str] = Counter()
        """Jobs with a slot, by key."""

    # Asking

    async def berth(self, ticket: Ticket) -> Berth | Outage:
        """Return a slot as soon as there is one, or that there will be none. Being cancelled leaves the queue."""
        name = ticket.leg.group
        if name not in self._queues:
            # The usual case: nobody waits, so nobody is passed by.
            place = self._place(ticket)
            if isinstance(place, Outage):
                return place
            if place is not None and self._may_start(ticket):
                return self._grant(ticket, place)
        queue = self._queues.setdefault(name, FairQueue())
        waiter = _Waiter(ticket, self._lane(ticket))
        queue.add(waiter)
        self._dispatch(name)
        if waiter.future.done():
            return waiter.future.result()
        self.changed()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            self._leave(waiter, name)
            raise

    def elsewhere(self, ticket: Ticket) -> Berth | None:
        """Return a slot that is free now at a deployment where nothing has gone wrong; None without one."""
        now_s, leg = _now_s(), ticket.leg
        fresh = [s for s in self._allowed(ticket) if s.id not in leg.tired and s.usable(now_s)]
        if not fresh or leg.group in self._queues or not self._may_start(ticket):
            return None
        station = self._free(ticket, lowest(fresh), now_s)
        return None if station is None else self._grant(ticket, station)

    def occupy(self, station: Station, *, job_id: str, scope: str) -> Berth:
        """Return the slot of a task that is under way already, whether or not there is one to spare."""
        self._count(job_id, scope)
        station.traffic.under_way += 1
        return Berth(self, station, job_id=job_id, scope=scope)

    # What the engine reads

    def positions(self) -> Iterator[tuple[str, int]]:
        """Yield the id of each job that waits, with its place: 1 is the next to go under its name."""
        for queue in self._queues.values():
            line = (waiter.ticket.job_id for waiter in queue.in_order())
            seen: set[str] = set()
            for position, job_id in enumerate(list(line), start=1):
                if job_id not in seen:
                    seen.add(job_id)
                    yield job_id, position

    def waiting(self, name: str) -> int:
        """Return how many tasks wait under a public name."""
        return len(self._queues.get(name, ()))

    def look(self) -> None:
        """Let everybody go who can: something else than a slot has become free."""
        self._dispatch_all()

    def refresh(self) -> None:
        """Look at everybody who waits anew: the fleet has changed."""
        for name, queue in list(self._queues.items()):
            waiting = list(queue)
            for waiter in waiting:
                queue.remove(waiter)
                waiter.lane = self._lane(waiter.ticket)
                queue.add(waiter)
            self._dispatch(name)

    def close(self) -> None:
        """Stop the timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # What a berth tells

    def released(self, berth: Berth) -> None:
        """Take a slot back, and give it to the next."""
        self._held[berth.job_id] -= 1
        if not self._held[berth.job_id]:
            del self._held[berth.job_id]
            self._spending.let_go(berth.job_id)
            self._jobs[berth.scope] -= 1
            if not self._jobs[berth.scope]:
                del self._jobs[berth.scope]
        routing = self._fleet.routing
        unlimited = routing.max_parallel_per_key is None and routing.max_parallel_total is None
        if unlimited and not self._seats.limited(berth.scope):
            self._dispatch(berth.station.deployment.model_name)
        else:
            self._dispatch_all()

    def health_changed(self, station: Station) -> None:
        """Tell that a station begins to rest or is back, and look who can go now, or not any more."""
        self._cooled(station)
        self._dispatch(station.deployment.model_name)

    def alone(self, station: Station) -> bool:
        """Return whether no other deployment of the same name takes tasks."""
        now_s = _now_s()
        siblings = self._fleet.serving(station.deployment.model_name)
        return not any(s.id != station.id and s.usable(now_s) for s in siblings)

    # Choosing

    def _dispatch_all(self) -> None:
        for name in list(self._queues):
            self._dispatch(name)

    def _dispatch(self, name: str) -> None:
        """Let everybody go who can, in turn, and come back when time alone makes room."""
        queue = self._queues.get(name)
        if queue is None:
            return
        moved = False
        while (found := self._next(queue)) is not None:
            waiter, place = found
            queue.take(waiter)
            moved = True
            waiter.future.set_result(
                place if isinstance(place, Outage) else self._grant(waiter.ticket, place)
            )
        self._wait_for_time(name, queue)
        if moved and queue:
            self.changed()
        if not queue:
            del self._queues[name]

    def _next(self, queue: FairQueue[_Waiter]) -> tuple[_Waiter, Station | Outage] | None:
        stuck: set[Hashable] = set()
        for waiter in queue.heads():
            if waiter.lane in stuck:
                continue
            place = self._place(waiter.ticket)
            if isinstance(place, Outage) or (place and self._may_start(waiter.ticket)):
                return waiter, place
            if place is None:
                stuck.add(waiter.lane)
        return None

    def _place(self, ticket: Ticket) -> Station | Outage | None:
        """Return where a task can go now, or that it never can; None: it has to wait."""
        now_s = _now_s()
        allowed = self._allowed(ticket)
        for tier in tiers(allowed, tired=ticket.leg.tired, now_s=now_s):
            station = self._free(ticket, tier, now_s)
            if station is not None:
                return station
        if any(s.hopeful(now_s) for s in allowed):
            return None
        errors = (s.traffic.breaker.error for s in allowed if not s.deployment.blocked)
        nobody = SPENT if not allowed and self._all_spent(ticket) else NOBODY
        return Outage(error=next(filter(None, errors), nobody))

    def _free(self, ticket: Ticket, stations: Sequence[Station], now_s: float) -> Station | None:
        free = [s for s in stations if s.has_room(now_s)]
        if not free:
            return None
        return choose(
            free,
            routing=self._fleet.routing,
            estimate=lambda s: _microusd(ticket, s),
            now_s=now_s,
            draw=self._draw,
        )

    def _allowed(self, ticket: Ticket) -> Sequence[Station]:
        """Return the stations that a task may use, whether or not they can take it at the moment."""
        serving = self._fleet.serving(ticket.leg.group)
        open_to = tagged(serving, ticket.tags, routing=self._fleet.routing)
        avoid = ticket.leg.avoid
        exhausted = self._spending.exhausted
        allowed = [s for s in open_to if s.id not in avoid and not exhausted(s.id)]
        if alike(allowed):
            return allowed
        return [s for s in allowed if ticket.plans.of(s, images=ticket.images) is not None]

    def _all_spent(self, ticket: Ticket) -> bool:
        serving = self._fleet.serving(ticket.leg.group)
        open_to = tagged(serving, ticket.tags, routing=self._fleet.routing)
        return bool(open_to) and all(self._spending.exhausted(s.id) for s in open_to)

    def _lane(self, ticket: Ticket) -> Hashable:
        return frozenset(s.id for s in self._allowed(ticket)), ticket.leg.tired

    def _may_start(self, ticket: Ticket) -> bool:
        """Return whether neither the key nor the process has its fill of jobs under way."""
        if ticket.job_id in self._held:
            return True
        routing = self._fleet.routing
        per_key, total = routing.max_parallel_per_key, routing.max_parallel_total
        under_way = self._jobs[ticket.scope]
        if per_key is not None and under_way >= per_key:
            return False
        if total is not None and len(self._held) >= total:
            return False
        return self._seats.may_start(ticket.job_id, ticket.scope, under_way=under_way)

    # Keeping count

    def _grant(self, ticket: Ticket, station: Station) -> Berth:
        self._count(ticket.job_id, ticket.scope)
        if self._spending.watches(station.id):
            self._spending.set_aside(
                ticket.job_id,
                ticket.place[-1],
                deployment=station.id,
                microusd=_microusd(ticket, station),
            )
        probe = station.arrive(_now_s())
        return Berth(self, station, job_id=ticket.job_id, scope=ticket.scope, probe=probe)

    def _count(self, job_id: str, scope: str) -> None:
        if job_id not in self._held:
            self._jobs[scope] += 1
        self._held[job_id] += 1

    def _leave(self, waiter: _Waiter, name: str) -> None:
        if waiter.future.done() and not waiter.future.cancelled():
            # Its turn came in the very moment it left.
            place = waiter.future.result()
            if isinstance(place, Berth):
                place.release()
            return
        queue = self._queues.get(name)
        if queue is not None:
            queue.remove(waiter)
            self.changed()
            if not queue:
                self._dispatch(name)

    def _wait_for_time(self, name: str, queue: FairQueue[_Waiter]) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if not queue:
            return
        now_s = _now_s()
        moments = [m for s in self._fleet.serving(name) if (m := s.next_moment(now_s)) is not None]
        if moments:
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_at(min(moments), self._dispatch, name)


def alike(stations: Sequence[Station]) -> bool:
    """Return whether all stations make the same of a request."""
    return len({station.kind for station in stations}) <= 1


def _microusd(ticket: Ticket, station: Station) -> int | None:
    plan = ticket.plans.of(station, images=ticket.images)
    return None if plan is None else plan.microusd


def _now_s() -> float:
    return asyncio.get_running_loop().time()

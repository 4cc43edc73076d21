"""What is under way for one job: its slots, its submissions, and what it has come to so far."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from taxiway.budgets import Standing, covers
from taxiway.clock import Clock
from taxiway.facts import Fact
from taxiway.jobs import Attempt, AttemptStatus, Job, Part, Plan
from taxiway.journal import Journal
from taxiway.parts import history
from taxiway.protocols import Instruments, Note
from taxiway.routing.berths import Berth
from taxiway.routing.candidates import tagged
from taxiway.routing.dispatcher import Dispatcher, Ticket
from taxiway.routing.fleet import Fleet
from taxiway.routing.itinerary import Journey, Leg
from taxiway.routing.plans import Plans
from taxiway.routing.stations import Station
from taxiway.settings import Settings
from taxiway.storing import Keeper
from taxiway.taking import Taker

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What every generation works with."""

    journal: Journal
    fleet: Fleet
    dispatcher: Dispatcher
    settings: Settings
    clock: Clock
    instruments: Instruments
    note: Note
    lease_alive: Callable[[], bool]
    """Whether this process certainly owns its jobs: asked right before anything is bought."""
    taker: Taker
    """Keeps images whose bytes came with a provider's answer."""
    standing: Callable[[str], Standing | None] = lambda _: None
    """Where a key stands with its budget, as far as this process knows."""
    keeper: Keeper | None = None
    """Stores finished images; None leaves them with the provider."""
    alone: bool = False
    """Whether nobody goes on with a job that this process lets go of: then its task is stopped at the provider."""


class Work:
    """One job at work. Owned by its generation, and shared by all parts of the job."""

    __slots__ = ("_berths", "_number", "_plans", "_submissions", "job_id", "shop")

    def __init__(self, job_id: str, shop: Workshop, *, plans: Plans | None = None) -> None:
        self.job_id = job_id
        self.shop = shop
        self._number = next(shop.dispatcher.numbers)
        self._berths: dict[int, Berth] = {}
        self._plans = plans
        self._submissions: set[asyncio.Task[Any]] = set()

    @property
    def job(self) -> Job:
        """The job as its owner knows it."""
        return self.shop.journal.head(self.job_id)

    async def record(self, fact: Fact) -> Job:
        """Record a fact about the job; see `Journal.record`."""
        return await self.shop.journal.record(self.job_id, fact)

    # What the job says of itself

    def last_attempt(self, part: int) -> Attempt | None:
        """Return the newest attempt at a part."""
        return next((a for a in reversed(self.job.attempts) if a.part == part), None)

    def tries(self, part: int) -> int:
        """Return how many attempts at a part have ended without an image."""
        ended = (AttemptStatus.FAILED, AttemptStatus.UNKNOWN)
        return sum(attempt.status in ended for attempt in history(self.job, part))

    def journey(self, part: int, *, closed: frozenset[str] = frozenset()) -> Journey:
        """Return the way of a part so far."""
        job, fleet = self.job, self.shop.fleet
        return Journey(
            model=job.request.model,
            asked=fleet.canonical(job.request.model),
            attempts=history(job, part),
            policy=job.policy,
            num_retries=self.shop.settings.num_retries,
            accepts=lambda group: self._accepted_by(group, job.parts[part]),
            closed=closed,
        )

    # Deployments

    def ticket(self, part: int, leg: Leg) -> Ticket:
        """Return what to ask for to go on with a part."""
        job = self.job
        return Ticket(
            job_id=job.id,
            scope=job.scope,
            place=(job.created_at, self._number, part),
            leg=leg,
            images=job.parts[part].images,
            plans=self.plans,
            tags=job.policy.tags,
        )

    @property
    def plans(self) -> Plans:
        """What the job's request comes to at different deployments."""
        if self._plans is None:
            self._plans = Plans(self.job.request)
        return self._plans

    def new_plan(self, part: int, station: Station) -> Plan | None:
        """Return what a part comes to at a station; None where that is what was planned."""
        job = self.job
        planned = job.parts[part]
        plan = self.plans.of(station, images=planned.images)
        if plan is None:
            return None
        shares = [(share.images, share.credits, share.price_microusd) for share in plan.parts]
        same = shares == [(planned.images, planned.credits, planned.price_microusd)]
        return None if same and plan.size == (planned.size or job.size) else plan

    def name_of(self, leg: Leg) -> str:
        """Return the public name of a leg, in the caller's own words where it is the one that was asked for."""
        model = self.job.request.model
        return model if leg.group == self.shop.fleet.canonical(model) else leg.group

    def can_pay(self, microusd: int | None) -> bool:
        """Return whether the job's key can pay so much more than the job has reserved so far."""
        return covers(self.shop.standing(self.job.scope), microusd, at=self.shop.clock.now())

    def _accepted_by(self, group: str, part: Part) -> bool:
        fleet = self.shop.fleet
        stations = tagged(fleet.serving(group), self.job.policy.tags, routing=fleet.routing)
        plans = (self.plans.of(station, images=part.images) for station in stations)
        return any(plan is not None and self._can_change_to(plan, part) for plan in plans)

    def _can_change_to(self, plan: Plan, part: Part) -> bool:
        """Return whether the key can pay what a part costs more elsewhere."""
        price, reserved = plan.microusd, part.microusd
        if price is not None and reserved is not None and price <= reserved:
            return True
        return self.can_pay(None if price is None else price - (reserved or 0))

    # Slots

    def moor(self, part: int, berth: Berth) -> None:
        """Hold a slot for a part's attempt, until `leave` or the end of the work."""
        self._berths[part] = berth

    def berth(self, part: int) -> Berth | None:
        """Return the slot that a part's attempt holds."""
        return self._berths.get(part)

    def leave(self, part: int) -> None:
        """Give back the slot of a part's attempt, if it holds one."""
        berth = self._berths.pop(part, None)
        if berth is not None:
            berth.release()

    def take_up(self, attempt: Attempt) -> None:
        """Count a task that an earlier owner bought among those under way at its deployment."""
        # What it might have come to elsewhere is not worth keeping while the task runs; it is planned anew.
        self._plans = None
        station = self.shop.fleet.station(attempt.deployment)
        if station is not None and attempt.part not in self._berths:
            job = self.job
            berth = self.shop.dispatcher.occupy(station, job_id=job.id, scope=job.scope)
            self.moor(attempt.part, berth)

    # Submissions

    async def uninterrupted(self, submission: Coroutine[None, None, T]) -> T:
        """Run a submission to its end, whoever stops waiting: its answer is the only trace of what it bought."""
        task = asyncio.create_task(submission, name=f"submit:{self.job_id}")
        self._submissions.add(task)
        task.add_done_callback(self._submissions.discard)
        return await asyncio.shield(task)

    async def finish_submissions(self) -> None:
        """Return when the submissions under way are answered and recorded, however often that is cancelled."""
        cancelled = False
        while self._submissions:
            try:
                await asyncio.wait(self._submissions)
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    def close(self) -> None:
        """Give back every slot."""
        for part in list(self._berths):
            self.leave(part)

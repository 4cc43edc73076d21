"""The budgets of the configuration: of the service, of a provider, of a deployment.

The ledger says what was spent; between two looks at it, this process adds what its own jobs book. So a budget
holds at once for what is bought here, and within `LOOK_S` for what other replicas buy. Those of virtual keys are
exact, and are not kept here: see `budgets`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from taxiway.budgets import usd
from taxiway.errors import BudgetExceededError, StoreError
from taxiway.events import Event
from taxiway.facts import Submitting
from taxiway.ledger import Grouping, entries
from taxiway.periods import Period, read_period
from taxiway.protocols import JobStore
from taxiway.settings import Budget, Settings

#: How often the ledger is looked at.
LOOK_S = 30.0

#: What the budget of all jobs is called beside those of providers and deployments, which have names of their own.
SERVICE = "service"

#: The window of a budget that is never whole again.
TOTAL = "total"

#: Is told what is left of each budget, in micro-USD, by the budget's name and window.
Show = Callable[[Mapping[tuple[str, str], int]], None]


class Purse:
    """One budget: what some deployments, or all of them, may cost in a period."""

    def __init__(
        self, name: str, budget: Budget, *, deployments: frozenset[str] | None, now: float
    ) -> None:
        self.name = name
        self.budget = budget
        self.deployments = deployments
        self._period: Period | None = read_period(budget.duration) if budget.duration else None
        self.since = self._period.begin(now) if self._period else None
        self.booked_microusd = 0
        """What this process's jobs have booked since it was made, or since the period has begun."""
        self._before_microusd = 0
        """What the ledger had, less what of that is in `booked_microusd`."""

    def covers(self, deployment: str) -> bool:
        """Return whether a deployment's tasks are paid from here."""
        return self.deployments is None or deployment in self.deployments

    def left_microusd(self, now: float) -> int:
        """Return what is left, reservations taken off; negative where more was spent."""
        if self._period is not None and self._period.begin(now) != self.since:
            self.since = self._period.begin(now)
            self.booked_microusd = self._before_microusd = 0
        return self.budget.microusd - self._before_microusd - self.booked_microusd

    def book(self, microusd: int, *, now: float) -> None:
        """Take in what a job of this process books."""
        self.left_microusd(now)  # a new period may have begun
        self.booked_microusd += microusd

    def looked(self, spent_microusd: int, *, booked_microusd: int) -> None:
        """Take in what the ledger has, from a look that was begun when so much was booked here."""
        self._before_microusd = spent_microusd - booked_microusd


class Purses:
    """All budgets of one service. Observes jobs; the dispatcher and the runner ask it."""

    def __init__(self, store: JobStore, settings: Settings, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._whole: Purse | None = None
        self._parts: tuple[Purse, ...] = ()
        self._news = asyncio.Event()
        self._pledges: dict[str, int] = {}
        self._asides: dict[str, dict[int, tuple[str, int]]] = {}
        """What tasks that were let go, and are not booked yet, may cost, and where; by job and part."""
        self._aside: Counter[str] = Counter()
        """The same, by deployment."""
        self._offer(settings)

    def offer(self, settings: Settings) -> None:
        """Keep the budgets of these settings from now on; what was spent is known within a moment."""
        self._offer(settings)
        self._news.set()

    def observe(self, event: Event) -> None:
        """Add what a job books."""
        if not self._all or event.tick:
            return
        if event.job.attempts or event.job.final:
            self.free(event.job.id)
        if isinstance(event.fact, Submitting):
            self._let_go(event.job.id, event.fact.part)
        for entry in entries(event.job, before=event.before, at=event.at):
            microusd = entry.reserved_microusd + (entry.charged_microusd or 0)
            for purse in self._all:
                if purse.covers(entry.deployment):
                    purse.book(microusd, now=self._now())

    def exhausted(self, deployment: str) -> bool:
        """Return whether nothing is left for a deployment."""
        now = self._now()
        return any(
            purse.covers(deployment) and purse.left_microusd(now) <= self._aside_of(purse)
            for purse in self._parts
        )

    def watches(self, deployment: str) -> bool:
        """Return whether a deployment, or its provider, has a budget."""
        return any(purse.covers(deployment) for purse in self._parts)

    def set_aside(self, job_id: str, part: int, *, deployment: str, microusd: int | None) -> None:
        """Set aside what a task that is let go may cost, until it is booked; None: nobody knows how much."""
        self._let_go(job_id, part)
        self._asides.setdefault(job_id, {})[part] = deployment, microusd or 0
        self._aside[deployment] += microusd or 0

    def let_go(self, job_id: str) -> None:
        """Set nothing aside any more for the tasks of a job."""
        for part in tuple(self._asides.get(job_id, ())):
            self._let_go(job_id, part)

    def pledge(self, job_id: str, microusd: int | None) -> None:
        """Set aside what a new job may cost, until it books that itself; None: nobody knows how much.

        Raises `BudgetExceededError` where the service's budget does not cover it.
        """
        if self._whole is None:
            return
        left = self._whole.left_microusd(self._now()) - sum(self._pledges.values())
        if left <= 0 or (microusd or 0) > left:
            raise BudgetExceededError(
                f"The budget of this service is {usd(self._whole.budget.microusd)}, of which "
                f"{usd(max(0, left))} are left; nothing was bought."
            )
        self._pledges[job_id] = microusd or 0

    def free(self, job_id: str) -> None:
        """Set nothing aside for a job any more."""
        self._pledges.pop(job_id, None)

    def left(self) -> Mapping[tuple[str, str], int]:
        """Return what is left of each budget, by name and window; where two share both, of the lesser one."""
        now, found = self._now(), dict[tuple[str, str], int]()
        for purse in self._all:
            key, left = (purse.name, purse.budget.duration or TOTAL), purse.left_microusd(now)
            found[key] = min(left, found.get(key, left))
        return found

    async def look(self) -> None:
        """Learn from the ledger what has been spent. Raises `StoreError`."""
        for purse in self._all:
            booked = purse.booked_microusd
            by = () if purse.deployments is None else (Grouping.DEPLOYMENT,)
            rows = await self._store.usage(by, since=purse.since)
            spent = sum(
                row.spent_microusd + row.reserved_microusd
                for row in rows
                if not by or row.group[0] in (purse.deployments or ())
            )
            purse.looked(spent, booked_microusd=booked)

    async def keep_looking(self, show: Show) -> None:
        """Look at once where there are new budgets, and now and then, until cancelled.

        `show` is told what is left, as the last look has it: first of the one that was made at the start.
        """
        show(self.left())
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._news.wait()
            self._news.clear()
            with suppress(StoreError):  # whoever needs it is told by its own call
                await self.look()
                if not self._news.is_set():  # what came meanwhile has not been looked at
                    show(self.left())

    def _let_go(self, job_id: str, part: int) -> None:
        parts = self._asides.get(job_id, {})
        if part not in parts:
            return
        deployment, microusd = parts.pop(part)
        self._aside[deployment] -= microusd
        if not self._aside[deployment]:
            del self._aside[deployment]
        if not parts:
            del self._asides[job_id]

    def _aside_of(self, purse: Purse) -> int:
        return sum(
            microusd for deployment, microusd in self._aside.items() if purse.covers(deployment)
        )

    def _offer(self, settings: Settings) -> None:
        known = {(purse.name, purse.budget, purse.deployments): purse for purse in self._all}
        now = self._now()

        def purse(name: str, budget: Budget, ids: Iterable[str] | None) -> Purse:
            deployments = None if ids is None else frozenset(ids)
            found = known.pop((name, budget, deployments), None)  # no two are the same one
            return found or Purse(name, budget, deployments=deployments, now=now)

        whole = settings.budget
        self._whole = None if whole is None else purse(SERVICE, whole, None)
        of_providers = [
            purse(provider, budget, (d.id for d in settings.deployments if d.provider == provider))
            for provider, budget in settings.provider_budgets.items()
        ]
        of_deployments = [
            purse(d.id, d.budget, [d.id]) for d in settings.deployments if d.budget is not None
        ]
        self._parts = (*of_providers, *of_deployments)

    @property
    def _all(self) -> tuple[Purse, ...]:
        return self._parts if self._whole is None else (self._whole, *self._parts)

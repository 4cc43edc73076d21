"""The state of one sandbox and the acts that change it. No HTTP here."""

import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from taxiway.sandbox import answers
from taxiway.sandbox.answers import Answer
from taxiway.sandbox.clock import SandboxClock
from taxiway.sandbox.coerce import checked
from taxiway.sandbox.faultbook import FaultBook, Rule, Subject
from taxiway.sandbox.faults import Outcome
from taxiway.sandbox.lanes import Lanes
from taxiway.sandbox.links import Signer
from taxiway.sandbox.models import load_models
from taxiway.sandbox.money import Ledger, estimate, final_cost
from taxiway.sandbox.pictures import Studio
from taxiway.sandbox.records import Leak, RequestLog
from taxiway.sandbox.settings import SandboxSettings, limit_for
from taxiway.sandbox.tasks import ACTIVE, Order, RunwayTask, durations
from taxiway.sandbox.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable


class World:
    """Everything a sandbox knows. Owned by `Sandbox`; the routes act on it."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.start_settings = settings
        self.clock = SandboxClock(scale=settings.time_scale)
        self.models = load_models()
        self.faults = FaultBook(settings.faults, now=self.clock.now)
        self.studio = Studio()
        self.open_connections: Callable[[], int] = lambda: 0
        self._clear(settings)

    def _clear(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.tasks: dict[str, RunwayTask] = {}
        self.ledger = Ledger(balance=settings.balance)
        self.lanes = Lanes(limit=settings.concurrency, on_end=self._ended)
        self.uploads = Uploads()
        self.signer = Signer()
        self.log = RequestLog(size=settings.log_size)
        self.leaks: list[Leak] = []
        self.creates_by_prompt: Counter[str] = Counter()
        # Reproducible on purpose: the jitter of a run with the same seed is the same.
        self._dice = random.Random(settings.seed)  # noqa: S311

    def reset(self) -> None:
        """Go back to the start: no tasks, the first settings, the first faults."""
        self.clock.rescale(self.start_settings.time_scale)
        self._clear(self.start_settings)
        self.faults.reset()

    def change(self, **changes: Any) -> None:
        """Change settings while running. Raises `ValueError` that names the field."""
        settings = replace(self.settings, **checked(SandboxSettings, changes))
        if "faults" in changes:
            self.faults.replace(settings.faults)
        now = self.settle()
        self.settings = settings
        if "balance" in changes:
            self.ledger.balance = settings.balance
        if "time_scale" in changes:
            self.clock.rescale(settings.time_scale)
        if "concurrency" in changes:
            self.lanes.relimit(settings.concurrency, now=now)

    def settle(self) -> float:
        """Bring queue and money up to now; return it, in the vendor's seconds."""
        now = self.clock.now()
        self.lanes.settle(now)
        return now

    def create(self, order: Order, *, outcome: Outcome, rules: list[Rule]) -> RunwayTask | Answer:
        """Make a task and charge it, or refuse: neither a task nor a charge."""
        now = self.settle()
        price = self.models[order.model].price
        cost = estimate(order, price=price, unknown_price=self.settings.unknown_price)
        if cost > self.ledger.balance:
            return answers.no_credits()
        quota = limit_for(order.model, limit=self.settings.daily_quota)
        if quota is not None and self.ledger.made_today(order.model, now=now) >= quota:
            return answers.daily_quota()
        task = self._new_task(order, outcome, cost, now)
        task.faults = rules
        self.tasks[task.id] = task
        self.creates_by_prompt[order.prompt] += 1
        self.ledger.charge(task, now=now)
        self.lanes.enter(task, now=now)
        return task

    def find(self, task_id: str, *, now: float) -> RunwayTask | None:
        """Return a task that the vendor would still know."""
        task = self.tasks.get(task_id)
        if task is None or task.status_at(now) in ("DELETED", "VANISHED"):
            return None
        return task

    def delete(self, task: RunwayTask, *, now: float) -> None:
        """Cancel an active task, or delete a finished one with its pictures."""
        status = task.status_at(now)
        task.status_when_deleted = status
        task.deleted_at = now
        if status not in ACTIVE:
            return
        self.lanes.leave(task, now=now)
        # In a race the vendor had finished when the DELETE came, whatever the caller had last read.
        if status != "RUNNING" and not task.outcome.race:
            self.ledger.refund(task, amount=task.charged, date=self.clock.date())

    def subject(self, task: RunwayTask | None) -> Subject:
        """Return what a request about this task is about, for the scope of faults."""
        if task is None:
            return Subject()
        return Subject(model=task.model, prompt=task.prompt, task=task.id)

    def _new_task(self, order: Order, outcome: Outcome, cost: int, now: float) -> RunwayTask:
        settings = self.settings
        pending_s, running_s, pace_s = durations(
            outcome,
            queue_s=settings.queue_s * self._wobble(),
            duration_s=settings.duration_s * self._wobble(),
        )
        return RunwayTask(
            id=str(uuid4()),
            order=order,
            outcome=outcome,
            estimate=cost,
            created_at=now,
            created_date=self.clock.date(),
            pending_s=pending_s,
            running_s=running_s,
            pace_s=pace_s,
            tick_s=settings.progress_tick_s,
            settle=self.settle,
        )

    def _wobble(self) -> float:
        jitter = self.settings.jitter
        return self._dice.uniform(1 - jitter, 1 + jitter) if jitter else 1.0

    def _ended(self, task: RunwayTask) -> None:
        if task.outcome.ending == "VANISHED":
            return
        rest = task.charged - final_cost(task, settings=self.settings)
        self.ledger.refund(task, amount=rest, date=self.clock.date())
